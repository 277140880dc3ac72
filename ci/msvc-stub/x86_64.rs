#![no_std]
#![crate_type = "lib"]
core::arch::global_asm!(r#"
    .section .tls,"dw"
    .globl _tls_start
_tls_start: .quad 0
    .section .tls$ZZZ,"dw"
_tls_end: .quad 0
    .section .CRT$XLA,"dr"
__xl_a: .quad 0
    .section .CRT$XLZ,"dr"
__xl_z: .quad 0
    .section .rdata$T,"dr"
    .globl _tls_used
    .p2align 4
_tls_used: .quad _tls_start, _tls_end, _tls_index, __xl_a + 8
    .long 0, 0x300000
    .data
    .globl _tls_index, _fltused, "??_7type_info@@6B@"
    .p2align 4
_tls_index: .quad 0
_fltused: .long 0x9875, 0
"??_7type_info@@6B@": .quad 0, 0
    .text
    .globl __chkstk, mainCRTStartup
    .p2align 4
__chkstk:
    push rcx
    push rax
    cmp rax, 4096
    lea rcx, [rsp + 24]
    jb 2f
1:  sub rcx, 4096
    test [rcx], rcx
    sub rax, 4096
    cmp rax, 4096
    ja 1b
2:  sub rcx, rax
    test [rcx], rcx
    pop rax
    pop rcx
    ret
    .def mainCRTStartup; .scl 2; .type 32; .endef
    .p2align 4
mainCRTStartup:
    .seh_proc mainCRTStartup
    sub rsp, 40
    .seh_stackalloc 40
    .seh_endprologue
    xor ecx, ecx
    xor edx, edx
    call main
    mov ecx, eax
    call exit
    int3
    .seh_endproc
"#);
