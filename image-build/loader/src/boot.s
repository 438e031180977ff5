# The PVH entry in 32-bit protected mode without paging, and the way to 64-bit code.
#
# On entry ebx holds the address of the start info (Xen, public/arch-x86/hvm/start_info.h). The first
# 4 GiB are mapped to themselves: the first 2 MiB as 4 KiB pages, because the kernel remaps single
# pages there, the rest as 2 MiB pages, because the kernel expects its own memory in such pages.

.section .note.pvh, "a", @note
.balign 4
.long 4                         # length of the name
.long 4                         # length of the value: a 32-bit address
.long 18                        # XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.long pvh_entry

.section .text.boot, "ax"
.code32
.global pvh_entry
pvh_entry:
    cli
    cld
    mov esp, offset boot_stack_end
    mov edi, ebx

    xor ecx, ecx
    mov eax, 0x83               # present, writable, 2 MiB
2:  mov [boot_directories + ecx*8], eax
    mov dword ptr [boot_directories + ecx*8 + 4], 0
    add eax, 0x200000
    inc ecx
    cmp ecx, 2048
    jne 2b

    xor ecx, ecx
    mov eax, 3                  # present, writable
3:  mov [boot_table + ecx*8], eax
    mov dword ptr [boot_table + ecx*8 + 4], 0
    add eax, 4096
    inc ecx
    cmp ecx, 512
    jne 3b

    mov eax, offset boot_table
    or eax, 3
    mov [boot_directories], eax
    mov eax, offset boot_directories
    or eax, 3
    xor ecx, ecx
4:  mov [boot_pointers + ecx*8], eax
    add eax, 4096
    inc ecx
    cmp ecx, 4
    jne 4b
    mov eax, offset boot_pointers
    or eax, 3
    mov [boot_root], eax

    mov eax, offset boot_root
    mov cr3, eax
    mov eax, cr4
    or eax, 0x20                # PAE
    mov cr4, eax
    mov ecx, 0xC0000080         # EFER
    rdmsr
    or eax, 0x100               # LME
    wrmsr
    mov eax, cr0
    or eax, 0x80000001          # PG, PE
    mov cr0, eax
    lgdt [boot_gdt_register]
    mov eax, 8                  # the code segment
    push eax
    mov eax, offset boot_long
    push eax
    retf

.code64
boot_long:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    mov esp, offset boot_stack_end
    mov edi, edi                # the address of the start info, zero-extended
    call {main}
    ud2

.section .rodata.boot, "a"
.balign 8
boot_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF    # 64-bit code
    .quad 0x00CF93000000FFFF    # data
boot_gdt_register:
    .word 23
    .long boot_gdt

.section .bss.boot, "aw", @nobits
.balign 4096
boot_root: .skip 4096
boot_pointers: .skip 4096
boot_directories: .skip 16384
boot_table: .skip 4096
boot_stack: .skip 16384
boot_stack_end:
