    .syntax unified
    .thumb

@ void carafe_depthwise_prepare(uint32_t *to, const uint8_t *weights, uint32_t stride, uint32_t taps)
@ Weights of 4 channels: for every two taps a word per channel. The words of a tap that is missing are zero.
    .section .text.carafe_depthwise_prepare, "ax", %progbits
    .global carafe_depthwise_prepare
    .type carafe_depthwise_prepare, %function
    .thumb_func
    .p2align 2
carafe_depthwise_prepare:
    push    {r4-r9, lr}
1:  ldr     r4, [r1]
    mov     r5, #0
    cmp     r3, #1
    it      ne
    ldrne   r5, [r1, r2]
    add     r1, r1, r2, lsl #1
    pkhbt   r12, r4, r5, lsl #16
    pkhtb   r5, r5, r4, asr #16
    sxtb16  r6, r12
    sxtb16  r7, r12, ror #8
    sxtb16  r8, r5
    sxtb16  r9, r5, ror #8
    stm     r0!, {r6, r7, r8, r9}
    subs    r3, r3, #2
    bhi     1b
    pop     {r4-r9, pc}
    .size carafe_depthwise_prepare, . - carafe_depthwise_prepare

@ Two taps, four channels: 8 products.
    .macro carafe_depthwise_step
    ldm     r0!, {r4, r5}
    ldm     r1!, {r3, r6, r7, lr}
    ldr     r4, [r4, r2]
    ldr     r5, [r5, r2]
    pkhbt   r12, r4, r5, lsl #16
    pkhtb   r5, r5, r4, asr #16
    sxtb16  r4, r12
    sxtb16  r12, r12, ror #8
    smlad   r8, r4, r3, r8
    sxtb16  r4, r5
    smlad   r9, r12, r6, r9
    sxtb16  r5, r5, ror #8
    smlad   r10, r4, r7, r10
    smlad   r11, r5, lr, r11
    .endm

@ void carafe_depthwise(DepthwiseArguments *)
@ r0 pointers of taps, r1 stream of parameters, r2 byte behind each pointer, r8-r11 sums.
    .section .text.carafe_depthwise, "ax", %progbits
    .global carafe_depthwise
    .type carafe_depthwise, %function
    .thumb_func
    .p2align 2
carafe_depthwise:
    push    {r4-r11, lr}
    push    {r0}
    mov     r3, r0
    mov     r2, #0
1:  @ A pixel.
    ldr     r1, [r3, #4]
2:  @ Four of its channels.
    ldr     r0, [r3]
    ldr     r4, [r3, #32]
    ldm     r1!, {r8, r9, r10, r11}
    cmp     r4, #5
    bne     5f
    carafe_depthwise_step
    carafe_depthwise_step
    carafe_depthwise_step
    carafe_depthwise_step
    carafe_depthwise_step
3:  ldr     r0, [sp]
    ldm     r1!, {r3, r6, r7, lr}
    ldrd    r4, r5, [r0, #12]
    add     r2, #4
    cbz     r5, 4f
    lsl     r8, r8, r5
    lsl     r9, r9, r5
    lsl     r10, r10, r5
    lsl     r11, r11, r5
4:  smmlar  r8, r8, r3, r4
    smmlar  r9, r9, r6, r4
    smmlar  r10, r10, r7, r4
    smmlar  r11, r11, lr, r4
    ldrd    r4, r5, [r0, #20]
    mov     r3, r0
    ssat    r8, #8, r8
    ssat    r9, #8, r9
    ssat    r10, #8, r10
    ssat    r11, #8, r11
    bfi     r8, r9, #8, #24
    bfi     r8, r10, #16, #16
    bfi     r8, r11, #24, #8
    str     r8, [r4], #4
    str     r4, [r0, #20]
    ldr     r6, [r0, #8]
    cmp     r1, r6
    bne     2b
    @ The next pixel.
    add     r4, r4, r5
    str     r4, [r0, #20]
    ldr     r5, [r0, #36]
    add     r2, r2, r5
    ldr     r7, [r0, #28]
    subs    r7, r7, #1
    str     r7, [r0, #28]
    bne     1b
    add     sp, #4
    pop     {r4-r11, pc}
5:  @ Any number of taps. The counter lies in the arguments.
    str     r4, [r3, #40]
6:  carafe_depthwise_step
    ldr     r3, [sp]
    ldr     r4, [r3, #40]
    subs    r4, r4, #1
    str     r4, [r3, #40]
    bne     6b
    b       3b
    .size carafe_depthwise, . - carafe_depthwise
