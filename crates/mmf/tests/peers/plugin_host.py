# A Python program with faulthandler, which is installed after a plug-in that contains the library.
import ctypes
import faulthandler
import sys

plugin = ctypes.CDLL(sys.argv[1])
when = sys.argv[2]
plugin.prepare()
assert plugin.armed() == 1
assert plugin.touch() == 1
faulthandler.enable()
assert plugin.armed() == 0, "faulthandler does not pass on SIGBUS"
if when == "rearm":
    assert plugin.rearm() == 1
elif when == "map":
    plugin.work()
elif when == "again":
    for _ in range(100):
        plugin.work()
        faulthandler.disable()
        faulthandler.enable()
    plugin.work()
assert plugin.armed() == 1
for _ in range(10):
    assert plugin.touch() == 1
print("caught", flush=True)
if sys.argv[3] == "Bus error":
    plugin.touch_plainly()
ctypes.string_at(8)
print("survived", flush=True)
