.section .note.pvh, "a", @note
.balign 4
.long 4
.long 4
.long 1
.asciz "Xen"
.long start

.section .text.boot, "ax"
.code32
.global start
start:
    mov dx, 0x3f8
    mov al, 'O'
    out dx, al
    mov al, 'K'
    out dx, al
    mov al, 13
    out dx, al
    mov al, 10
    out dx, al
    mov edx, 0xf4
    mov eax, 1
    out dx, eax
    hlt
