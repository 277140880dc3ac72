#![no_std]
#![crate_type = "lib"]
core::arch::global_asm!(r#"
    .section .tls,"dw"
__tls_start: .long 0
    .section .tls$ZZZ,"dw"
__tls_end: .long 0
    .section .CRT$XLA,"dr"
___xl_a: .long 0
    .section .CRT$XLZ,"dr"
___xl_z: .long 0
    .section .rdata$T,"dr"
    .globl __tls_used
    .p2align 2
__tls_used: .long __tls_start, __tls_end, __tls_index, ___xl_a + 4, 0, 0x300000
    .section .rdata,"dr"
    .globl __load_config_used   // so that /SAFESEH makes its table of handlers
    .p2align 2
__load_config_used: .long 72
    .zero 60
    .long ___safe_se_handler_table, ___safe_se_handler_count
    .data
    .globl __tls_index, __fltused, "??_7type_info@@6B@", "__imp__GetConsoleScreenBufferInfo@8", "__imp__SetConsoleTextAttribute@8"
    .p2align 2
__tls_index: .long 0
__fltused: .long 0x9875
"??_7type_info@@6B@": .long 0, 0
"__imp__GetConsoleScreenBufferInfo@8": .long 5f   // the two that libtest imports from kernel32.lib, decorated
"__imp__SetConsoleTextAttribute@8": .long 6f
    .globl __tls_array
__tls_array = 0x2C
    .text
5:  jmp dword ptr [__imp__GetConsoleScreenBufferInfo]
6:  jmp dword ptr [__imp__SetConsoleTextAttribute]
    .globl __chkstk, "__CxxThrowException@8", _mainCRTStartup
    .p2align 4
__chkstk:
    push ecx
    lea ecx, [esp + 8]
1:  cmp eax, 4096
    jb 2f
    sub ecx, 4096
    test [ecx], ecx
    sub eax, 4096
    jmp 1b
2:  sub ecx, eax
    test [ecx], ecx
    mov eax, esp
    mov esp, ecx
    mov ecx, [eax]
    push dword ptr [eax + 4]
    ret
"__CxxThrowException@8":
    jmp dword ptr [__imp___CxxThrowException]
    .p2align 4
_mainCRTStartup:
    push ebp
    mov ebp, esp
    push 0
    push 0
    call _main
    push eax
    call _exit
    int3
"#);
