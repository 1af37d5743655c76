    .syntax unified
    .thumb

@ void carafe_dense(const uint8_t *x, const uint8_t *end, const uint8_t *weights, const uint8_t *more,
@                   const DenseArguments *)
@ r9 S and r10 A of the first pair, r11 S and r12 A of the second.
    .section .text.carafe_dense, "ax", %progbits
    .global carafe_dense
    .type carafe_dense, %function
    .thumb_func
    .p2align 2
carafe_dense:
    push    {r4-r11, lr}
    mov     r9, #0
    mov     r10, #0
    mov     r11, #0
    mov     r12, #0
    sub     r4, r1, r0
    tst     r4, #4
    bne     2f
    .macro carafe_dense_step
    ldr     r4, [r0], #4
    sxtb16  r8, r4
    sxtb16  r5, r4, ror #8
    ldrd    r6, r7, [r2], #8
    sxtb16  r4, r6
    smlad   r9, r6, r8, r9
    smlad   r10, r4, r8, r10
    sxtb16  r4, r7
    smlad   r9, r7, r5, r9
    smlad   r10, r4, r5, r10
    ldrd    r6, r7, [r3], #8
    sxtb16  r4, r6
    smlad   r11, r6, r8, r11
    smlad   r12, r4, r8, r12
    sxtb16  r4, r7
    smlad   r11, r7, r5, r11
    smlad   r12, r4, r5, r12
    .endm
1:  carafe_dense_step
2:  carafe_dense_step
    cmp     r0, r1
    bne     1b

    ldr     r0, [sp, #36]
    ldm     r0, {r1, r2, r3, r4, r5, r6}
    sub     r9, r9, r10
    sub     r11, r11, r12
    ldm     r1, {r0, r1, r7, r8}
    add     r10, r10, r0
    add     r9, r7, r9, asr #8
    lsl     r10, r10, r6
    lsl     r9, r9, r6
    smmlar  r10, r10, r1, r5
    smmlar  r9, r9, r8, r5
    ssat    r10, #8, r10
    ssat    r9, #8, r9
    strb    r10, [r3]
    strb    r9, [r3, #1]
    ldm     r2, {r0, r1, r7, r8}
    add     r12, r12, r0
    add     r11, r7, r11, asr #8
    lsl     r12, r12, r6
    lsl     r11, r11, r6
    smmlar  r12, r12, r1, r5
    smmlar  r11, r11, r8, r5
    ssat    r12, #8, r12
    ssat    r11, #8, r11
    strb    r12, [r4]
    strb    r11, [r4, #1]
    pop     {r4-r11, pc}
    .size carafe_dense, . - carafe_dense
