// A JVM, which uses SIGSEGV for itself: for null checks that it leaves out of its code, and to stop its threads.
public class PluginHost {
    /** What the plug-in offers: 0 uses the library, 1 prepares a fault, 2 provokes it, 3 asks whether the handler is in place. */
    static native int call(int what);

    int value = 7;

    /** Null pointers by the hundred, in compiled code. */
    static int nulls() {
        PluginHost there = new PluginHost();
        int caught = 0;
        for (int round = 0; round < 200_000; round++) {
            try {
                PluginHost one = round % 1000 == 999 ? null : there;
                if (one.value != 7) throw new Error("value");
            } catch (NullPointerException expected) {
                caught++;
            }
        }
        return caught;
    }

    static void say(String text) {
        System.out.println(text);
        System.out.flush();
    }

    public static void main(String[] arguments) throws Exception {
        System.load(arguments[0]);
        if (nulls() != 200 || call(0) != 7) throw new Error("alone");
        call(1);
        for (int round = 0; round < 50; round++) {
            if (call(2) != 1 || call(3) != 1 || nulls() != 200) throw new Error("round " + round);
        }
        say("alone");
        java.util.concurrent.atomic.AtomicInteger well = new java.util.concurrent.atomic.AtomicInteger();
        Thread[] threads = new Thread[4];
        for (int index = 0; index < threads.length; index++) {
            boolean collects = index == 0, faults = index % 2 == 1;
            threads[index] = new Thread(() -> {
                for (int round = 0; round < 50; round++) {
                    if (collects) System.gc();
                    if (faults && (call(2) != 1 || call(0) != 7) || nulls() != 200) return;
                }
                well.incrementAndGet();
            });
            threads[index].start();
        }
        for (Thread thread : threads) thread.join();
        say("threads " + well.get());
        say("armed " + call(3));
    }
}
