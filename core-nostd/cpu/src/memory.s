    .syntax unified
    .thumb

@ void carafe_widen(uint32_t *to, const uint8_t *x, const uint8_t *end)
    .macro carafe_widen_loop name, extend
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
    .p2align 2
\name:
1:  ldr     r3, [r1], #4
    \extend r12, r3
    \extend r3, r3, ror #8
    cmp     r1, r2
    str     r3, [r0, #8]
    str     r12, [r0], #16
    bne     1b
    bx      lr
    .size \name, . - \name
    .endm

    carafe_widen_loop carafe_widen, sxtb16
    carafe_widen_loop carafe_widen_u8, uxtb16

@ void carafe_copy(uint8_t *to, const uint8_t *from, uint32_t bytes)
    .section .text.carafe_copy, "ax", %progbits
    .global carafe_copy
    .type carafe_copy, %function
    .thumb_func
    .p2align 2
carafe_copy:
    subs    r2, #4
    blo     2f
1:  ldr     r3, [r1], #4
    subs    r2, #4
    str     r3, [r0], #4
    bhs     1b
2:  adds    r2, #4
    beq     4f
3:  ldrb    r3, [r1], #1
    subs    r2, #1
    strb    r3, [r0], #1
    bne     3b
4:  bx      lr
    .size carafe_copy, . - carafe_copy

@ void carafe_fill(uint8_t *to, uint32_t byte, uint32_t bytes)
    .section .text.carafe_fill, "ax", %progbits
    .global carafe_fill
    .type carafe_fill, %function
    .thumb_func
    .p2align 2
carafe_fill:
    cbz     r2, 2f
1:  subs    r2, #1
    strb    r1, [r0], #1
    bne     1b
2:  bx      lr
    .size carafe_fill, . - carafe_fill
