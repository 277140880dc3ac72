/* A program in another language: only Win32 calls, no mmf. It obeys the lines of its input and answers each of them. */
#include <windows.h>
#include <sddl.h>
#include <stdio.h>
#include <string.h>

static HANDLE section;
static volatile unsigned char *view;

static void wide(const char *text, WCHAR *out) { MultiByteToWideChar(CP_UTF8, 0, text, -1, out, 400); }

static int map(DWORD access) {
    view = MapViewOfFile(section, access, 0, 0, 0);
    if (!view) { printf("error %lu\n", GetLastError()); return 0; }
    return 1;
}

int main(void) {
    char line[600], name[400];
    WCHAR wname[400];
    unsigned long long a, b, i, sum;
    unsigned value;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "create %399s %llu", name, &a) == 2) {
            wide(name, wname);
            section = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, (DWORD)(a >> 32), (DWORD)a, wname);
            if (!section) printf("error %lu\n", GetLastError());
            else if (map(FILE_MAP_ALL_ACCESS)) printf("created\n");
        } else if (sscanf(line, "open %399s", name) == 1) {
            MEMORY_BASIC_INFORMATION pages;
            wide(name, wname);
            section = OpenFileMappingW(FILE_MAP_ALL_ACCESS, FALSE, wname);
            if (!section) printf("error %lu\n", GetLastError());
            else if (map(FILE_MAP_ALL_ACCESS)) {
                VirtualQuery((void *)view, &pages, sizeof pages);
                printf("opened %llu\n", (unsigned long long)pages.RegionSize);
            }
        } else if (sscanf(line, "grant %399s %llu %x", name, &a, &value) == 3) {
            /* a region that everyone else may use only as the access mask says */
            SECURITY_ATTRIBUTES attributes = {sizeof attributes, NULL, FALSE};
            WCHAR sddl[100];
            swprintf(sddl, 100, L"D:P(A;;0x%x;;;WD)", value);
            wide(name, wname);
            ConvertStringSecurityDescriptorToSecurityDescriptorW(sddl, SDDL_REVISION_1, &attributes.lpSecurityDescriptor, NULL);
            section = CreateFileMappingW(INVALID_HANDLE_VALUE, &attributes, PAGE_READWRITE, 0, (DWORD)a, wname);
            if (!section) printf("error %lu\n", GetLastError());
            else if (map(FILE_MAP_WRITE)) printf("created\n");
        } else if (sscanf(line, "null %399s %llu", name, &a) == 2) {
            /* a region that everyone may use in every way, as some libraries create it */
            SECURITY_DESCRIPTOR descriptor;
            SECURITY_ATTRIBUTES attributes = {sizeof attributes, &descriptor, FALSE};
            InitializeSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION);
            SetSecurityDescriptorDacl(&descriptor, TRUE, NULL, FALSE);
            wide(name, wname);
            section = CreateFileMappingW(INVALID_HANDLE_VALUE, &attributes, PAGE_READWRITE, 0, (DWORD)a, wname);
            if (!section) printf("error %lu\n", GetLastError());
            else if (map(FILE_MAP_WRITE)) printf("created\n");
        } else if (sscanf(line, "reserve %399s %llu", name, &a) == 2) {
            /* address space without memory behind it, but for the first 64 KiB */
            wide(name, wname);
            section = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | SEC_RESERVE, 0, (DWORD)a, wname);
            if (!section) printf("error %lu\n", GetLastError());
            else if (map(FILE_MAP_WRITE)) printf(VirtualAlloc((void *)view, 65536, MEM_COMMIT, PAGE_READWRITE) ? "created\n" : "error\n");
        } else if (sscanf(line, "event %399s", name) == 1) {
            wide(name, wname);
            printf(CreateEventW(NULL, TRUE, FALSE, wname) ? "made\n" : "error\n");
        } else if (sscanf(line, "mutex %399s", name) == 1) {
            wide(name, wname);
            printf(CreateMutexW(NULL, FALSE, wname) ? "made\n" : "error\n");
        } else if (sscanf(line, "put %llu %llu %u", &a, &b, &value) == 3) {
            for (i = 0; i < b; i++) view[a + i] = (unsigned char)(value + i);
            printf("done\n");
        } else if (sscanf(line, "sum %llu %llu", &a, &b) == 2) {
            for (sum = i = 0; i < b; i++) sum += view[a + i] * (i + 1);
            printf("%llu\n", sum);
        } else if (strncmp(line, "close", 5) == 0) {
            UnmapViewOfFile((void *)view);
            CloseHandle(section);
            printf("closed\n");
        } else printf("what?\n");
        fflush(stdout);
    }
    return 0;
}
