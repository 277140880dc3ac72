// A host with a SIGSEGV handler of its own, as runtimes have one, that loads a plug-in, uses it in a thread, and unloads it; or loads
// two of them, each with a library of its own.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char *page;
static int handled;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    if ((char *)info->si_addr != page)
        _exit(9);
    handled++;
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void fault(void) {
    mprotect(page, 4096, PROT_NONE);
    *(volatile char *)page = 1;
    printf("handled %d\n", handled);
    fflush(stdout);
}

static void *use(void *path) {
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin) {
        puts(dlerror());
        return NULL;
    }
    int (*work)(void) = (int (*)(void))dlsym(plugin, "work");
    printf("work %d\n", work());
    fflush(stdout);
    return plugin;
}

static int call(void *plugin, const char *name) { return ((int (*)(void))dlsym(plugin, name))(); }

static void two(char *first, char *second) {
    void *plugins[] = {dlopen(first, RTLD_NOW | RTLD_LOCAL), dlopen(second, RTLD_NOW | RTLD_LOCAL)};
    ((void (*)(void))dlsym(plugins[0], "prepare"))();
    ((void (*)(void))dlsym(plugins[1], "prepare"))();
    struct sigaction before, after;
    sigaction(SIGBUS, NULL, &before);
    for (int round = 0; round < 100; round++)
        for (int i = 0; i < 2; i++)
            if (call(plugins[i], "work") != 7 || call(plugins[i], "rearm") != 1 || call(plugins[i], "touch") != 1)
                _exit(8);
    sigaction(SIGBUS, NULL, &after);
    printf("turns %d\n", before.sa_sigaction != after.sa_sigaction);
    printf("armed %d %d\n", call(plugins[0], "armed"), call(plugins[1], "armed"));
    fault();
}

// What a plug-in has registered for fork and exit must not point nowhere when it is gone.
static int unload_and_fork(char *path) {
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    printf("created %d\n", call(plugin, "create"));
    printf("closed %d\n", dlclose(plugin));
    printf("stays %d\n", dlopen(path, RTLD_NOW | RTLD_NOLOAD) != NULL);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    int status = 0;
    waitpid(child, &status, 0);
    printf("forked %d\n", WEXITSTATUS(status));
    return 0;
}

int main(int count, char **arguments) {
    if (count == 3 && strcmp(arguments[1], "fork") == 0)
        return unload_and_fork(arguments[2]);
    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
    fault();
    if (count == 3) {
        two(arguments[1], arguments[2]);
        return 0;
    }
    pthread_t thread;
    void *plugin = NULL;
    pthread_create(&thread, NULL, use, arguments[1]);
    pthread_join(thread, &plugin);
    fault();
    printf("closed %d\n", dlclose(plugin));
    fault();
    // And again, as a host that reloads its plug-ins does.
    plugin = use(arguments[1]);
    fault();
    printf("closed %d\n", dlclose(plugin));
    fault();
    return 0;
}
