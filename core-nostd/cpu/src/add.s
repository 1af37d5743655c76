    .syntax unified
    .thumb

@ One element: bits \at of the words r3 and r12, to those of r7.
    .macro carafe_add_step at
    sxtb    r5, r3, ror #\at
    sxtb    r6, r12, ror #\at
    mla     r5, r5, r8, r10
    mla     r5, r6, r9, r5
    asr     r5, r5, r11
    ssat    r5, #8, r5
    bfi     r7, r5, #\at, #8
    .endm

@ void carafe_add(uint8_t *a, const uint8_t *b, uint32_t bytes, const AddArguments *)
    .section .text.carafe_add, "ax", %progbits
    .global carafe_add
    .type carafe_add, %function
    .thumb_func
    .p2align 2
carafe_add:
    push    {r4-r11, lr}
    ldm     r3, {r8, r9, r10, r11}
    subs    r2, #4
    blo     2f
1:  ldr     r3, [r0]
    ldr     r12, [r1], #4
    carafe_add_step 0
    carafe_add_step 8
    carafe_add_step 16
    carafe_add_step 24
    subs    r2, #4
    str     r7, [r0], #4
    bhs     1b
2:  adds    r2, #4
    beq     4f
3:  ldrb    r3, [r0]
    ldrb    r12, [r1], #1
    carafe_add_step 0
    subs    r2, #1
    strb    r7, [r0], #1
    bne     3b
4:  pop     {r4-r11, pc}
    .size carafe_add, . - carafe_add

@ void carafe_sum(int32_t *acc, const uint8_t *pixels, uint32_t step, uint32_t count)
@ Four channels of at most 256 pixels: sums of pairs fit halfwords.
    .section .text.carafe_sum, "ax", %progbits
    .global carafe_sum
    .type carafe_sum, %function
    .thumb_func
    .p2align 2
carafe_sum:
    push    {r4-r7, lr}
    mov     r4, #0
    mov     r5, #0
1:  ldr     r6, [r1]
    add     r1, r1, r2
    subs    r3, #1
    sxtab16 r4, r4, r6
    sxtab16 r5, r5, r6, ror #8
    bne     1b
    ldm     r0, {r6, r7, r12, lr}
    sxtah   r6, r6, r4
    sxtah   r7, r7, r5
    add     r12, r12, r4, asr #16
    add     lr, lr, r5, asr #16
    stm     r0, {r6, r7, r12, lr}
    pop     {r4-r7, pc}
    .size carafe_sum, . - carafe_sum
