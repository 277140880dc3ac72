"""A program in another language: multiprocessing.shared_memory without mmf. It obeys its input."""
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

# Python counts an object that it merely opened as its own, and would unlink it at its end.
opened = resource_tracker.unregister
for line in sys.stdin:
    verb, *rest = line.split()
    if verb == "create":
        memory = SharedMemory(rest[0], create=True, size=int(rest[1]))
        answer = "created"
    elif verb == "open":
        memory = SharedMemory(rest[0])
        opened(memory._name, "shared_memory")
        answer = f"opened {memory.size}"
    elif verb == "put":
        start, count, value = map(int, rest)
        for i in range(count):
            memory.buf[start + i] = (value + i) % 256
        answer = "done"
    elif verb == "sum":
        start, count = map(int, rest)
        answer = sum(memory.buf[start + i] * (i + 1) for i in range(count))
    elif verb == "unlink":
        memory.unlink()
        answer = "done"
    elif verb == "close":
        memory.close()
        answer = "closed"
    print(answer, flush=True)
