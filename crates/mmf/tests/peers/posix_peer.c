/* A program in another language: only POSIX calls, no mmf. It obeys the lines of its input and answers each of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int object = -1;
static volatile unsigned char *view;
static size_t length;

static int map(size_t len) {
    length = len;
    view = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, object, 0);
    if (view == MAP_FAILED) { printf("error %d\n", errno); return 0; }
    return 1;
}

int main(void) {
    char line[600], name[400];
    unsigned long long a, b, i, sum;
    unsigned value;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "create %399s %llu", name, &a) == 2) {
            object = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
            if (object < 0 || ftruncate(object, (off_t)a) != 0) printf("error %d\n", errno);
            else if (map(a)) printf("created\n");
        } else if (sscanf(line, "unsized %399s", name) == 1) {
            object = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
            printf(object < 0 ? "error\n" : "created\n");
        } else if (sscanf(line, "open %399s", name) == 1) {
            struct stat stat;
            object = shm_open(name, O_RDWR, 0);
            if (object < 0 || fstat(object, &stat) != 0) printf("error %d\n", errno);
            else if (map((size_t)stat.st_size)) printf("opened %llu\n", (unsigned long long)stat.st_size);
        } else if (sscanf(line, "put %llu %llu %u", &a, &b, &value) == 3) {
            for (i = 0; i < b; i++) view[a + i] = (unsigned char)(value + i);
            printf("done\n");
        } else if (sscanf(line, "sum %llu %llu", &a, &b) == 2) {
            for (sum = i = 0; i < b; i++) sum += view[a + i] * (i + 1);
            printf("%llu\n", sum);
        } else if (sscanf(line, "truncate %llu", &a) == 1) {
            printf(ftruncate(object, (off_t)a) == 0 ? "done\n" : "error\n");
        } else if (sscanf(line, "unlink %399s", name) == 1) {
            printf(shm_unlink(name) == 0 ? "done\n" : "error\n");
        } else if (strncmp(line, "close", 5) == 0) {
            munmap((void *)view, length);
            close(object);
            printf("closed\n");
        } else printf("what?\n");
        fflush(stdout);
    }
    return 0;
}
