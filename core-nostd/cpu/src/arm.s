    .syntax unified
    .thumb

@ Three pixels, two channels, two inputs: 12 products.
@ w holds b1:a1:b0:a0 with the halfword 256*b + a, so its low bytes, widened, are a, and the word itself serves for b.
    .macro carafe_step
    ldr     r3, [r1], #4
    ldm     r0!, {r5, r6, r7}
    sxtb16  r4, r3
    smlad   r8, r5, r3, r8
    smlad   r11, r5, r4, r11
    smlad   r9, r6, r3, r9
    smlad   r12, r6, r4, r12
    smlad   r10, r7, r3, r10
    smlad   lr, r7, r4, lr
    .endm

@ void carafe_tile(TileArguments *, const uint8_t *weights)
@ r0 inputs, r1 weights, r2 end of inputs, r8-r10 sums of 256*b + a, r11 r12 lr sums of a.
    .section .text.carafe_tile, "ax", %progbits
    .global carafe_tile
    .type carafe_tile, %function
    .thumb_func
    .p2align 2
carafe_tile:
    push    {r4-r11, lr}
    mov     r4, r0
    push    {r4}
1:  @ A pair of channels.
    ldm     r4, {r0, r2, r3}
    sub     r5, r2, r0
    ldr     r8, [r3]
    mov     r9, r8
    mov     r10, r8
    mov     r11, r8
    mov     r12, r8
    mov     lr, r8
    @ Inputs are a multiple of 4, 24 bytes of columns. A turn takes 16; of what is not a multiple of that, the first
    @ turn is a part.
    tst     r5, #8
    bne     3f
    tst     r5, #16
    beq     2f
    b       5f
3:  tst     r5, #16
    beq     6f
    b       7f
2:  carafe_step
    carafe_step
6:  carafe_step
    carafe_step
5:  carafe_step
    carafe_step
7:  carafe_step
    carafe_step
    cmp     r0, r2
    bne     2b

    ldr     r0, [sp]
    ldr     r2, [r0, #8]
    ldm     r2!, {r3, r4, r5, r6}
    str     r2, [r0, #8]
    @ b = (S - A) / 256 + bias of b
    sub     r8, r8, r11
    sub     r9, r9, r12
    sub     r10, r10, lr
    add     r8, r5, r8, asr #8
    add     r9, r5, r9, asr #8
    add     r10, r5, r10, asr #8
    ldrd    r3, r7, [r0, #24]
    cbz     r7, 4f
    lsl     r8, r8, r7
    lsl     r9, r9, r7
    lsl     r10, r10, r7
    lsl     r11, r11, r7
    lsl     r12, r12, r7
    lsl     lr, lr, r7
4:  smmlar  r11, r11, r4, r3
    smmlar  r8, r8, r6, r3
    smmlar  r12, r12, r4, r3
    smmlar  r9, r9, r6, r3
    smmlar  lr, lr, r4, r3
    smmlar  r10, r10, r6, r3
    ssat    r11, #8, r11
    ssat    r8, #8, r8
    ssat    r12, #8, r12
    ssat    r9, #8, r9
    ssat    lr, #8, lr
    ssat    r10, #8, r10
    bfi     r11, r8, #8, #24
    bfi     r12, r9, #8, #24
    bfi     lr, r10, #8, #24
    ldr     r3, [r0, #12]
    ldrd    r4, r5, [r0, #16]
    strh    r12, [r3, r4]
    strh    lr, [r3, r5]
    strh    r11, [r3], #2
    str     r3, [r0, #12]
    ldr     r5, [r0, #32]
    mov     r4, r0
    cmp     r2, r5
    bne     1b
    add     sp, #4
    pop     {r4-r11, pc}
    .size carafe_tile, . - carafe_tile

@ void carafe_widen(uint32_t *to, const uint8_t *x, const uint8_t *end)
    .macro carafe_widen_loop name, extend
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
    .p2align 2
\name:
    push    {r4, lr}
1:  ldr     r3, [r1], #4
    \extend r12, r3
    \extend r3, r3, ror #8
    cmp     r1, r2
    pkhbt   r4, r12, r3, lsl #16
    pkhtb   r3, r3, r12, asr #16
    str     r3, [r0, #12]
    str     r4, [r0], #24
    bne     1b
    pop     {r4, pc}
    .size \name, . - \name
    .endm

    carafe_widen_loop carafe_widen, sxtb16
    carafe_widen_loop carafe_widen_u8, uxtb16

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
    sxtb16  r5, r4, ror #8
    sxtb16  r4, r4
    pkhbt   r8, r4, r5, lsl #16
    pkhtb   r5, r5, r4, asr #16
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
