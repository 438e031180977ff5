.section .note.pvh, "a", @note
.balign 4
.long 4                       # bytes of the name, with its final zero
.long 4                       # bytes of the value
.long 18                      # XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.long start                   # the value: where to begin

.section .text.boot, "ax"
.code32
.global start
start:
    cli
    cld
    mov esp, offset stack_end
    mov edi, ebx              # the start info's address: later the first argument of main

    xor ecx, ecx
    mov eax, 0x83             # present, writable, a page of 2 MiB
1:  mov [directory + ecx*8], eax
    add eax, 0x200000
    inc ecx
    cmp ecx, 512
    jne 1b
    mov eax, offset directory
    or eax, 3                 # present, writable
    mov [pointers], eax
    mov eax, offset pointers
    or eax, 3
    mov [root], eax

    mov eax, offset root
    mov cr3, eax
    mov eax, cr4
    or eax, 0x20              # PAE
    mov cr4, eax
    mov ecx, 0xc0000080       # EFER
    rdmsr
    or eax, 0x100             # LME
    wrmsr
    mov eax, cr0
    or eax, 0x80000001        # PG, PE
    mov cr0, eax

    lgdt [gdt_register]
    push 8                    # the code segment
    mov eax, offset long_mode
    push eax
    retf

.code64
long_mode:
    mov ax, 0x10              # the data segment
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, offset stack_end
    mov edi, edi              # clears the upper half of rdi
    call {main}
    ud2

.section .rodata.boot, "a"
.balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff  # 64-bit code
    .quad 0x00cf93000000ffff  # data
gdt_register:
    .word 23                  # the table's last byte
    .long gdt

.section .bss.boot, "aw", @nobits
.balign 4096
root:      .skip 4096
pointers:  .skip 4096
directory: .skip 4096
stack:     .skip 16384
stack_end:
