    .syntax unified
    .thumb

@ Two inputs of three pixels, two channels: of five columns and three taps, 36 products in 30 instructions. A column is four
@ words, one for each of the sums that two rows are made of, so the next one lies 16 bytes on; kernels have three taps of both
@ channels for each sum, 24 bytes. The low half of r2 is what leads to the next two inputs.
    .macro carafe_winograd_step at
    ldr     r3, [r0]
    ldr     r4, [r0, #16]
    ldr     r5, [r0, #32]
    ldr     r6, [r1, #\at]
    ldr     r7, [r1, #\at + 4]
    smlad   r11, r3, r6, r11
    smlad   r12, r4, r6, r12
    smlad   lr, r5, r6, lr
    smlad   r8, r3, r7, r8
    smlad   r9, r4, r7, r9
    smlad   r10, r5, r7, r10
    ldr     r3, [r0, #48]
    ldr     r6, [r1, #\at + 8]
    ldr     r7, [r1, #\at + 12]
    smlad   r11, r4, r6, r11
    smlad   r12, r5, r6, r12
    smlad   lr, r3, r6, lr
    smlad   r8, r4, r7, r8
    smlad   r9, r5, r7, r9
    smlad   r10, r3, r7, r10
    ldr     r4, [r0, #64]
    ldr     r6, [r1, #\at + 16]
    ldr     r7, [r1, #\at + 20]
    uxtah   r0, r0, r2
    smlad   r11, r5, r6, r11
    smlad   r12, r3, r6, r12
    smlad   lr, r4, r6, lr
    smlad   r8, r5, r7, r8
    smlad   r9, r3, r7, r9
    smlad   r10, r4, r7, r10
    .endm

@ The same of two pixels.
    .macro carafe_winograd_step_of_two at
    ldr     r3, [r0]
    ldr     r4, [r0, #16]
    ldr     r6, [r1, #\at]
    ldr     r7, [r1, #\at + 4]
    smlad   r11, r3, r6, r11
    smlad   r12, r4, r6, r12
    smlad   r8, r3, r7, r8
    smlad   r9, r4, r7, r9
    ldr     r5, [r0, #32]
    ldr     r6, [r1, #\at + 8]
    ldr     r7, [r1, #\at + 12]
    smlad   r11, r4, r6, r11
    smlad   r12, r5, r6, r12
    smlad   r8, r4, r7, r8
    smlad   r9, r5, r7, r9
    ldr     r3, [r0, #48]
    ldr     r6, [r1, #\at + 16]
    ldr     r7, [r1, #\at + 20]
    uxtah   r0, r0, r2
    smlad   r11, r5, r6, r11
    smlad   r12, r3, r6, r12
    smlad   r8, r5, r7, r8
    smlad   r9, r3, r7, r9
    .endm

@ Fields of the arguments, which come by value, as those of carafe_tiles.
    .equ    WINOGRAD_MAPS, 36
    .equ    WINOGRAD_KERNELS, 40
    .equ    WINOGRAD_SUMS, 44
    .equ    WINOGRAD_CHANNELS, 48
    .equ    WINOGRAD_THREES, 52
    .equ    WINOGRAD_TWOS, 56
    .equ    WINOGRAD_OUT, 60
    .equ    WINOGRAD_OUT_STEP, 64
    .equ    WINOGRAD_OUT_ROW, 68
    .equ    WINOGRAD_ZERO_POINT, 72
    .equ    WINOGRAD_STEPS, 80
    .equ    WINOGRAD_STEPS_OF_TWO, 84
    .equ    WINOGRAD_NEXT, 88
    .equ    WINOGRAD_ROW, 92

@ Goes through the products of a sum, and on from there.
    .macro carafe_winograd_sum which, then
    ldrd    r0, r1, [sp, #WINOGRAD_MAPS]
    adr     r4, \then
    orr     r4, r4, #1
    str     r4, [sp, #WINOGRAD_NEXT]
    .if \which != 0
    adds    r0, #4 * \which
    adds    r1, #24 * \which
    .endif
    b       50f
    .endm

@ void carafe_winograd(WinogradArguments)
@ Two channels of one or two rows.
    .section .text.carafe_winograd, "ax", %progbits
    .global carafe_winograd
    .type carafe_winograd, %function
    .thumb_func
    .p2align 2
carafe_winograd:
    push    {r0-r3}
    push    {r4-r11, lr}
10: @ A tile.
    movs    r3, #0
    str     r3, [sp, #WINOGRAD_ROW]
    mov     r8, r3
    mov     r9, r3
    mov     r10, r3
    mov     r11, r3
    mov     r12, r3
    mov     lr, r3
    carafe_winograd_sum 1, 21f
    .p2align 2
21: ldr     r3, [sp, #WINOGRAD_SUMS]
    stm     r3, {r8, r9, r10, r11, r12, lr}
    carafe_winograd_sum 2, 22f
    .p2align 2
22: ldr     r3, [sp, #WINOGRAD_SUMS]
    adds    r3, #24
    stm     r3, {r8, r9, r10, r11, r12, lr}
    carafe_winograd_sum 0, 30f
    .p2align 2
30: @ Results of twice the sums.
    ldr     r2, [sp, #WINOGRAD_CHANNELS]
    ldm     r2, {r3, r4, r5, r6}
    add     r11, r3, r11, asr #1
    add     r12, r3, r12, asr #1
    add     lr, r3, lr, asr #1
    add     r8, r5, r8, asr #1
    add     r9, r5, r9, asr #1
    add     r10, r5, r10, asr #1
    ldrd    r3, r7, [sp, #WINOGRAD_ZERO_POINT]
    cmp     r7, #0
    bne     40f
32: smmlar  r11, r11, r4, r3
    smmlar  r8, r8, r6, r3
    smmlar  r12, r12, r4, r3
    smmlar  r9, r9, r6, r3
    smmlar  lr, lr, r4, r3
    smmlar  r10, r10, r6, r3
    ldrd    r3, r4, [sp, #WINOGRAD_OUT]
    ldr     r5, [sp, #WINOGRAD_ROW]
    ldr     r6, [sp, #WINOGRAD_THREES]
    ssat    r11, #8, r11
    ssat    r8, #8, r8
    ssat    r12, #8, r12
    ssat    r9, #8, r9
    ssat    lr, #8, lr
    ssat    r10, #8, r10
    bfi     r11, r8, #8, #24
    bfi     r12, r9, #8, #24
    bfi     lr, r10, #8, #24
    add     r3, r3, r5
    strh    r11, [r3]
    strh    r12, [r3, r4]
    cbz     r6, 33f
    strh    lr, [r3, r4, lsl #1]
33: cbnz    r5, 34f
    ldr     r5, [sp, #WINOGRAD_OUT_ROW]
    cbz     r5, 34f
    @ The other row: twice the first sum, less what the second made of it.
    str     r5, [sp, #WINOGRAD_ROW]
    ldr     r7, [sp, #WINOGRAD_SUMS]
    ldm     r7!, {r8, r9, r10, r11, r12, lr}
    ldm     r7!, {r3, r4, r5}
    rsb     r8, r3, r8, lsl #1
    rsb     r9, r4, r9, lsl #1
    rsb     r10, r5, r10, lsl #1
    ldm     r7!, {r3, r4, r5}
    rsb     r11, r3, r11, lsl #1
    rsb     r12, r4, r12, lsl #1
    rsb     lr, r5, lr, lsl #1
    carafe_winograd_sum 3, 30b

34: @ The next tile.
    ldrd    r5, r6, [sp, #WINOGRAD_THREES]
    ldrd    r3, r4, [sp, #WINOGRAD_OUT]
    ldr     r0, [sp, #WINOGRAD_MAPS]
    add     r3, r3, r4, lsl #1
    adds    r0, #32
    cbz     r5, 35f
    add     r3, r3, r4
    adds    r0, #16
    subs    r5, #1
    b       36f
35: subs    r6, #1
36: strd    r5, r6, [sp, #WINOGRAD_THREES]
    str     r3, [sp, #WINOGRAD_OUT]
    str     r0, [sp, #WINOGRAD_MAPS]
    orrs    r5, r6
    bne     10b
    pop     {r4-r11, lr}
    add     sp, #16
    bx      lr

40: lsl     r8, r8, r7
    lsl     r9, r9, r7
    lsl     r10, r10, r7
    lsl     r11, r11, r7
    lsl     r12, r12, r7
    lsl     lr, lr, r7
    b       32b

50: @ The products of a sum.
    ldr     r3, [sp, #WINOGRAD_THREES]
    ldrd    r2, r4, [sp, #WINOGRAD_STEPS]
    cmp     r3, #0
    beq     60f
51: carafe_winograd_step 0
    carafe_winograd_step 96
    carafe_winograd_step 192
    carafe_winograd_step 288
    add     r1, r1, #384
    subs    r2, r2, #0x10000
    bhs     51b
    ldr     pc, [sp, #WINOGRAD_NEXT]
60: mov     r2, r4
61: carafe_winograd_step_of_two 0
    carafe_winograd_step_of_two 96
    adds    r1, #192
    subs    r2, r2, #0x10000
    bhs     61b
    ldr     pc, [sp, #WINOGRAD_NEXT]
    .size carafe_winograd, . - carafe_winograd

@ Two inputs, d0 to d3, of four rows in r6 to r9: d0 - d2, d1 + d2, d2 - d1, d3 - d1.
    .macro carafe_winograd_map odd
    .if \odd
    sxtb16  r10, r8, ror #8
    sxtb16  r11, r6, ror #8
    sxtb16  r12, r7, ror #8
    .else
    sxtb16  r10, r8
    sxtb16  r11, r6
    sxtb16  r12, r7
    .endif
    ssub16  r11, r11, r10
    str     r11, [r4]
    sadd16  r11, r12, r10
    ssub16  r10, r10, r12
    str     r11, [r4, #4]
    .if \odd
    sxtb16  r11, r9, ror #8
    .else
    sxtb16  r11, r9
    .endif
    str     r10, [r4, #8]
    ssub16  r11, r11, r12
    str     r11, [r4, #12]
    add     r4, r4, r5
    .endm

    .equ    MAPS_TO, 52
    .equ    MAPS_STRIDE, 56
    .equ    MAPS_INPUTS, 60
    .equ    MAPS_COLUMNS, 64
    .equ    MAPS_BEFORE, 68
    .equ    MAPS_AFTER, 72
    .equ    MAPS_ZERO, 76
    .equ    MAPS_GAPS, 80

@ void carafe_winograd_maps(MapsArguments)
@ Columns of padding, of four lines, and of padding.
    .section .text.carafe_winograd_maps, "ax", %progbits
    .global carafe_winograd_maps
    .type carafe_winograd_maps, %function
    .thumb_func
    .p2align 2
carafe_winograd_maps:
    push    {r0-r3}
    push    {r4-r11, lr}
    ldr     r5, [sp, #MAPS_STRIDE]
    ldr     r6, [sp, #MAPS_BEFORE]
    movs    r7, #0
    b       40f
20: @ The columns of a line.
    add     r7, sp, #36
    ldm     r7, {r0, r1, r2, r3}
21: ldr     r4, [sp, #MAPS_TO]
    ldr     lr, [sp, #MAPS_INPUTS]
    add     r6, r4, #16
    str     r6, [sp, #MAPS_TO]
22: ldr     r6, [r0], #4
    ldr     r7, [r1], #4
    ldr     r8, [r2], #4
    ldr     r9, [r3], #4
    subs    lr, #4
    carafe_winograd_map 0
    carafe_winograd_map 1
    bne     22b
    ldr     r6, [sp, #MAPS_COLUMNS]
    ldrd    r7, r8, [sp, #MAPS_GAPS]
    ldrd    r9, r10, [sp, #MAPS_GAPS + 8]
    subs    r6, #1
    str     r6, [sp, #MAPS_COLUMNS]
    add     r0, r0, r7
    add     r1, r1, r8
    add     r2, r2, r9
    add     r3, r3, r10
    bne     21b
30: ldr     r6, [sp, #MAPS_AFTER]
    movs    r7, #1
40: @ r6 columns of padding.
    ldr     r8, [sp, #MAPS_ZERO]
    movs    r9, #0
41: cbz     r6, 44f
    ldr     r4, [sp, #MAPS_TO]
    ldr     lr, [sp, #MAPS_INPUTS]
    add     r10, r4, #16
    str     r10, [sp, #MAPS_TO]
42: str     r9, [r4]
    str     r8, [r4, #4]
    str     r9, [r4, #8]
    str     r9, [r4, #12]
    add     r4, r4, r5
    subs    lr, #2
    bne     42b
    subs    r6, #1
    b       41b
44: cbz     r7, 45f
    pop     {r4-r11, lr}
    add     sp, #16
    bx      lr
45: ldr     r6, [sp, #MAPS_COLUMNS]
    cmp     r6, #0
    bne     20b
    b       30b
    .size carafe_winograd_maps, . - carafe_winograd_maps

@ Of two inputs, weights g0 to g2 of a channel in r9 to r11: 2 g0, g0 + g1 + g2, g0 - g1 + g2, 2 g2.
    .macro carafe_winograd_kernel at
    sadd16  r12, r9, r11
    sadd16  r9, r9, r9
    sadd16  r11, r11, r11
    str     r9, [r0, #\at]
    sadd16  r9, r12, r10
    ssub16  r12, r12, r10
    str     r9, [r0, #\at + 24]
    str     r12, [r0, #\at + 48]
    str     r11, [r0, #\at + 72]
    .endm

@ void carafe_winograd_kernels(to, weights, inputs, step, more)
@ Of the weights of two channels, step bytes from word to word, each halfword less more.
    .section .text.carafe_winograd_kernels, "ax", %progbits
    .global carafe_winograd_kernels
    .type carafe_winograd_kernels, %function
    .thumb_func
    .p2align 2
carafe_winograd_kernels:
    push    {r4-r11, lr}
    @ Bytes of a row of weights. Columns of the kernel that are left are told by the address.
    mul     r4, r2, r3
    add     r5, r0, #24
    add     r4, r4, r4, lsl #1
    push    {r2, r5}
    lsrs    r4, #1
    mov     r2, r3
    ldr     r3, [sp, #44]
1:  ldr     r5, [sp]
    mov     lr, r0
2:  ldr     r6, [r1]
    ldr     r7, [r1, r4]
    ldr     r8, [r1, r4, lsl #1]
    add     r1, r1, r2
    ssub16  r6, r6, r3
    ssub16  r7, r7, r3
    ssub16  r8, r8, r3
    sxtb16  r9, r6
    sxtb16  r10, r7
    sxtb16  r11, r8
    ssub16  r6, r6, r9
    ssub16  r7, r7, r10
    ssub16  r8, r8, r11
    carafe_winograd_kernel 0
    sxtb16  r9, r6, ror #8
    sxtb16  r10, r7, ror #8
    sxtb16  r11, r8, ror #8
    subs    r5, #2
    carafe_winograd_kernel 4
    add     r0, r0, #96
    bne     2b
    ldr     r5, [sp, #4]
    add     r0, lr, #8
    cmp     r0, r5
    bne     1b
    add     sp, #8
    pop     {r4-r11, pc}
    .size carafe_winograd_kernels, . - carafe_winograd_kernels
