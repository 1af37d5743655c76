    .syntax unified
    .thumb

@ Fields of the arguments, which come by value, as those of carafe_tiles: behind words of its own, at the bottom, and the
@ registers that are saved.
    .equ    SLIDE_LIST, 56
    .equ    SLIDE_LIST_END, 60
    .equ    SLIDE_FROM, 64
    .equ    SLIDE_PIXEL, 68
    .equ    SLIDE_COLUMNS, 72
    .equ    SLIDE_PAD, 76
    .equ    SLIDE_PLANES, 80
    .equ    SLIDE_PLANE, 84
    .equ    SLIDE_ROW, 88
    .equ    SLIDE_ZERO, 92
    .equ    SLIDE_KERNEL, 96
    .equ    SLIDE_WEIGHTS, 100
    .equ    SLIDE_TAP, 104
    .equ    SLIDE_CHANNELS, 108
    .equ    SLIDE_CHANNELS_END, 112
    .equ    SLIDE_MULTIPLIER, 116
    .equ    SLIDE_OUT, 124
    .equ    SLIDE_OUT_STEP, 128
    .equ    SLIDE_ROWS, 132
    .equ    SLIDE_DOWN, 136
    .equ    SLIDE_OUT_ROW, 140
    .equ    SLIDE_ACROSS, 144
    .equ    SLIDE_ODD, 148
    .equ    SLIDE_FIRST_OUT, 152
    .equ    SLIDE_WIDE, 156
    .equ    SLIDE_CURSOR, 0
    .equ    SLIDE_END, 4
    .equ    SLIDE_COUNT, 8
    .equ    SLIDE_ROW_OUT, 12
    .equ    SLIDE_ROW_END, 16

@ Two pixels of four channels, r7 and r8, as a word to each plane.
    .macro carafe_slide_pair
    pkhbt   r9, r7, r8, lsl #16
    pkhtb   r10, r8, r7, asr #16
    sxtb16  r11, r9
    sxtb16  r12, r9, ror #8
    str     r11, [r0], #4
    str     r12, [r1], #4
    sxtb16  r11, r10
    sxtb16  r12, r10, ror #8
    str     r11, [r2], #4
    str     r12, [r3], #4
    .endm

@ Three taps of a row for two results. a and b hold inputs 0 1 and 2 3, or with stride two 0 1, 2 3 and then 4 5.
    .macro carafe_slide_near row, first, second, acc0, acc1
    ldrd    r3, r4, [\row], #4
    smlad   r11, r3, \first, \acc0
    smlatb  r12, r3, \first, \acc1
    smlabt  r11, r4, \second, r11
    smlad   r12, r4, \second, r12
    .endm

    .macro carafe_slide_far row, first, second, acc0, acc1
    ldrd    r3, r4, [\row], #8
    smlad   r11, r3, \first, \acc0
    ldr     r3, [\row]
    smlabt  r11, r4, \second, r11
    smlad   r12, r4, \first, \acc1
    smlabt  r12, r3, \second, r12
    .endm

@ Results of two pixels from sums in r11 and r12.
    .macro carafe_slide_put
    ldrd    r3, r4, [sp, #SLIDE_MULTIPLIER]
    smmlar  r11, r11, r3, r4
    smmlar  r12, r12, r3, r4
    ldrd    r3, r4, [sp, #SLIDE_OUT]
    ssat    r11, #8, r11
    ssat    r12, #8, r12
    strb    r11, [r3]
    strb    r12, [r3, r4]
    add     r3, r3, r4, lsl #1
    str     r3, [sp, #SLIDE_OUT]
    ldr     r4, [sp, #SLIDE_END]
    cmp     r0, r4
    .endm

@ The kernels of four channels: of each row words of taps 0 1 and 1 2.
    .macro carafe_slide_kernels more=0
    ldrd    r0, r1, [sp, #SLIDE_KERNEL + \more]
    ldr     r2, [sp, #SLIDE_TAP + \more]
    movs    r3, #3
11: ldr     r4, [r1]
    ldr     r5, [r1, r2]
    ldr     r6, [r1, r2, lsl #1]
    add     r1, r1, r2
    add     r1, r1, r2, lsl #1
    pkhbt   r7, r4, r5, lsl #16
    pkhtb   r8, r5, r4, asr #16
    pkhbt   r9, r5, r6, lsl #16
    pkhtb   r10, r6, r5, asr #16
    sxtb16  r4, r7
    sxtb16  r5, r9
    strd    r4, r5, [r0]
    sxtb16  r4, r7, ror #8
    sxtb16  r5, r9, ror #8
    strd    r4, r5, [r0, #24]
    sxtb16  r4, r8
    sxtb16  r5, r10
    strd    r4, r5, [r0, #48]
    sxtb16  r4, r8, ror #8
    sxtb16  r5, r10, ror #8
    strd    r4, r5, [r0, #72]
    adds    r0, #8
    subs    r3, #1
    bne     11b
    .endm

@ void carafe_slide(SlideArguments)
    .section .text.carafe_slide, "ax", %progbits
    .global carafe_slide
    .type carafe_slide, %function
    .thumb_func
    .p2align 2
carafe_slide:
    push    {r0-r3}
    push    {r4-r11, lr}
    sub     sp, #20
10: @ Four channels. First their kernels.
    carafe_slide_kernels

    @ Then the planes: a word for every two columns of a row. A line at 0 is padding.
    ldrd    r0, r4, [sp, #SLIDE_PLANES]
    add     r1, r0, r4
    add     r2, r1, r4
    add     r3, r2, r4
    ldr     r4, [sp, #SLIDE_LIST]
    str     r4, [sp, #SLIDE_CURSOR]
    ldr     r5, [sp, #SLIDE_PIXEL]
    add     r6, r5, r5, lsl #1
20: ldr     r11, [sp, #SLIDE_CURSOR]
    ldr     r7, [sp, #SLIDE_ROW]
    ldr     r4, [r11], #4
    add     r7, r7, r0
    str     r11, [sp, #SLIDE_CURSOR]
    str     r7, [sp, #SLIDE_ROW_END]
    cmp     r4, #0
    beq     28f
    ldr     r7, [sp, #SLIDE_FROM]
    ldr     lr, [sp, #SLIDE_PAD]
    add     r4, r4, r7
    ldr     r7, [sp, #SLIDE_ZERO]
21: subs    lr, #1
    bmi     23f
    beq     22f
    mov     r8, r7
    carafe_slide_pair
    sub     lr, #1
    b       21b
22: ldr     r8, [r4]
    add     r4, r4, r5
    carafe_slide_pair
    ldr     lr, [sp, #SLIDE_COLUMNS]
    sub     lr, #1
    b       24f
23: ldr     lr, [sp, #SLIDE_COLUMNS]
24: subs    lr, #4
    blo     26f
25: ldr     r7, [r4]
    ldr     r8, [r4, r5]
    ldr     r9, [r4, r5, lsl #1]
    ldr     r10, [r4, r6]
    add     r4, r4, r5, lsl #2
    pkhtb   r11, r8, r7, asr #16
    pkhbt   r7, r7, r8, lsl #16
    pkhtb   r12, r10, r9, asr #16
    pkhbt   r9, r9, r10, lsl #16
    sxtb16  r8, r7
    sxtb16  r10, r9
    subs    lr, #4
    strd    r8, r10, [r0], #8
    sxtb16  r8, r7, ror #8
    sxtb16  r10, r9, ror #8
    strd    r8, r10, [r1], #8
    sxtb16  r8, r11
    sxtb16  r10, r12
    strd    r8, r10, [r2], #8
    sxtb16  r8, r11, ror #8
    sxtb16  r10, r12, ror #8
    strd    r8, r10, [r3], #8
    bhs     25b
26: adds    lr, #2
    bmi     27f
    ldr     r7, [r4]
    ldr     r8, [r4, r5]
    add     r4, r4, r5, lsl #1
    carafe_slide_pair
    sub     lr, #2
27: adds    lr, #1
    bne     28f
    ldr     r7, [r4]
    ldr     r8, [sp, #SLIDE_ZERO]
    carafe_slide_pair
28: ldr     r12, [sp, #SLIDE_ROW_END]
    ldr     r7, [sp, #SLIDE_ZERO]
    sxtb16  r7, r7
    cmp     r0, r12
    beq     30f
29: str     r7, [r0], #4
    str     r7, [r1], #4
    str     r7, [r2], #4
    str     r7, [r3], #4
    cmp     r0, r12
    bne     29b
30: ldr     r11, [sp, #SLIDE_CURSOR]
    ldr     r12, [sp, #SLIDE_LIST_END]
    cmp     r11, r12
    bne     20b

    @ Then channel by channel. r0-r2 rows of the plane, r5-r10 kernel, r11 r12 sums, lr bias.
    ldr     r0, [sp, #SLIDE_PLANES]
    ldr     r3, [sp, #SLIDE_KERNEL]
    str     r3, [sp, #SLIDE_CURSOR]
40: ldr     r3, [sp, #SLIDE_CURSOR]
    ldr     r4, [sp, #SLIDE_CHANNELS]
    ldm     r3!, {r5, r6, r7, r8, r9, r10}
    ldrd    lr, r11, [r4], #8
    str     r3, [sp, #SLIDE_CURSOR]
    str     r4, [sp, #SLIDE_CHANNELS]
    str     r11, [sp, #SLIDE_MULTIPLIER]
    ldr     r3, [sp, #SLIDE_FIRST_OUT]
    ldr     r4, [sp, #SLIDE_ROWS]
    str     r3, [sp, #SLIDE_ROW_OUT]
    str     r4, [sp, #SLIDE_COUNT]
    add     r4, r3, #1
    str     r4, [sp, #SLIDE_FIRST_OUT]
    str     r3, [sp, #SLIDE_OUT]
    ldr     r3, [sp, #SLIDE_ROW]
    add     r1, r0, r3
    add     r2, r1, r3
41: @ A row.
    ldrd    r3, r4, [sp, #SLIDE_ACROSS]
    add     r3, r3, r0
    str     r3, [sp, #SLIDE_END]
    ldr     r4, [sp, #SLIDE_WIDE]
    cmp     r4, #0
    bne     45f
    cmp     r0, r3
    beq     43f
42: carafe_slide_near r0, r5, r6, lr, lr
    carafe_slide_near r1, r7, r8, r11, r12
    carafe_slide_near r2, r9, r10, r11, r12
    carafe_slide_put
    bne     42b
43: ldr     r4, [sp, #SLIDE_ODD]
    cmp     r4, #0
    beq     50f
    carafe_slide_near r0, r5, r6, lr, lr
    carafe_slide_near r1, r7, r8, r11, r12
    carafe_slide_near r2, r9, r10, r11, r12
    subs    r0, #4
    subs    r1, #4
    subs    r2, #4
    b       48f
45: cmp     r0, r3
    beq     47f
46: carafe_slide_far r0, r5, r6, lr, lr
    carafe_slide_far r1, r7, r8, r11, r12
    carafe_slide_far r2, r9, r10, r11, r12
    carafe_slide_put
    bne     46b
47: ldr     r4, [sp, #SLIDE_ODD]
    cmp     r4, #0
    beq     50f
    carafe_slide_far r0, r5, r6, lr, lr
    carafe_slide_far r1, r7, r8, r11, r12
    carafe_slide_far r2, r9, r10, r11, r12
    subs    r0, #8
    subs    r1, #8
    subs    r2, #8
48: @ A pixel that is alone at the end of the row.
    ldrd    r3, r4, [sp, #SLIDE_MULTIPLIER]
    smmlar  r11, r11, r3, r4
    ldr     r3, [sp, #SLIDE_OUT]
    ssat    r11, #8, r11
    strb    r11, [r3]
50: ldr     r4, [sp, #SLIDE_COUNT]
    subs    r4, #1
    beq     51f
    str     r4, [sp, #SLIDE_COUNT]
    ldrd    r3, r4, [sp, #SLIDE_DOWN]
    ldr     r12, [sp, #SLIDE_ACROSS]
    sub     r3, r3, r12
    add     r0, r0, r3
    add     r1, r1, r3
    add     r2, r2, r3
    ldr     r3, [sp, #SLIDE_ROW_OUT]
    add     r3, r3, r4
    str     r3, [sp, #SLIDE_ROW_OUT]
    str     r3, [sp, #SLIDE_OUT]
    b       41b
51: @ The next channel, whose plane is the next one; four are a turn.
    ldr     r4, [sp, #SLIDE_CURSOR]
    ldr     r3, [sp, #SLIDE_KERNEL]
    sub     r4, r4, r3
    ldr     r1, [sp, #SLIDE_PLANE]
    ldr     r0, [sp, #SLIDE_PLANES]
    cmp     r4, #96
    beq     52f
    @ 24 bytes of kernel a channel.
    add     r0, r0, r1
    cmp     r4, #24
    beq     40b
    add     r0, r0, r1
    cmp     r4, #48
    beq     40b
    add     r0, r0, r1
    b       40b
52: ldrd    r3, r4, [sp, #SLIDE_CHANNELS]
    ldr     r1, [sp, #SLIDE_FROM]
    ldr     r2, [sp, #SLIDE_WEIGHTS]
    adds    r1, #4
    adds    r2, #4
    str     r1, [sp, #SLIDE_FROM]
    str     r2, [sp, #SLIDE_WEIGHTS]
    cmp     r3, r4
    bne     10b
    add     sp, #20
    pop     {r4-r11, lr}
    add     sp, #16
    bx      lr
    .size carafe_slide, . - carafe_slide

@ Rows of five or six pixels, with a column of padding on either side: all results of a row at once.

@ Bytes that the frame is larger, and its own words: the first six are loaded at once.
    .equ    NARROW, 12
    .equ    NARROW_MULTIPLIER, 0
    .equ    NARROW_ZERO_POINT, 4
    .equ    NARROW_OUT, 8
    .equ    NARROW_OUT_STEP, 12
    .equ    NARROW_COUNT, 16
    .equ    NARROW_GAP, 20
    .equ    NARROW_CURSOR, 24
    .equ    NARROW_BIAS, 24
    .equ    NARROW_BACK, 28

@ Three taps of a row for sums in r4 to r9. Columns 0 1, 2 3, 4 5 and 6 7 become r10, r11, r12, lr; of the first row, r9 is
@ the bias of all.
    .macro carafe_narrow_row width, a0=r4, a1=r5, a2=r6, a3=r7, a4=r8
    ldm     r0!, {r10, r11, r12, lr}
    ldrd    r2, r3, [r1], #8
    smlad   r4, r10, r2, \a0
    smlatb  r5, r10, r2, \a1
    smlad   r6, r11, r2, \a2
    smlatb  r7, r11, r2, \a3
    smlad   r8, r12, r2, \a4
    .if     \width > 5
    smlatb  r9, r12, r2, r9
    smlad   r9, lr, r3, r9
    .endif
    smlabt  r4, r11, r3, r4
    smlad   r5, r11, r3, r5
    smlabt  r6, r12, r3, r6
    smlad   r7, r12, r3, r7
    smlabt  r8, lr, r3, r8
    .endm

@ Four words of a row of a plane. Of five pixels the last one is padding, and r11 already.
    .macro carafe_narrow_plane width, first, second, third, fourth, rotated
    sxtb16  r2, \first \rotated
    sxtb16  r3, \second \rotated
    sxtb16  r4, \third \rotated
    .if     \width > 5
    sxtb16  r11, \fourth \rotated
    .endif
    stm     r0, {r2, r3, r4, r11}
    .endm

    .macro carafe_narrow_routine width
    push    {r0-r3}
    push    {r4-r11, lr}
    sub     sp, #20 + NARROW
    ldr     r0, [sp, #SLIDE_MULTIPLIER + 4 + NARROW]
    ldr     r1, [sp, #SLIDE_OUT_STEP + NARROW]
    ldr     r2, [sp, #SLIDE_OUT_ROW + NARROW]
    ldr     r3, [sp, #SLIDE_PLANE + NARROW]
    str     r0, [sp, #NARROW_ZERO_POINT]
    str     r1, [sp, #NARROW_OUT_STEP]
    sub     r2, r2, r1, lsl #2
    add     r3, r3, r3, lsl #1
    str     r2, [sp, #NARROW_GAP]
    sub     r3, #16
    str     r3, [sp, #NARROW_BACK]
10: @ Four channels. First their kernels.
    carafe_slide_kernels NARROW

    @ Then the planes: of each line eight columns, one of padding, the pixels, and padding.
    ldrd    r0, r1, [sp, #SLIDE_PLANES + NARROW]
    ldr     r4, [sp, #SLIDE_LIST + NARROW]
20: ldr     r2, [r4], #4
    ldr     r11, [sp, #SLIDE_ZERO + NARROW]
    str     r4, [sp, #NARROW_CURSOR]
    cmp     r2, #0
    beq     22f
    ldrd    r5, r3, [sp, #SLIDE_FROM + NARROW]
    add     r2, r2, r5
    ldr     r5, [r2]
    ldr     r6, [r2, r3]
    add     r2, r2, r3, lsl #1
    ldr     r7, [r2]
    ldr     r8, [r2, r3]
    add     r2, r2, r3, lsl #1
    ldr     r9, [r2]
    .if     \width > 5
    ldr     r10, [r2, r3]
    .endif
21: pkhbt   r12, r11, r5, lsl #16
    pkhtb   lr, r5, r11, asr #16
    pkhbt   r5, r6, r7, lsl #16
    pkhtb   r6, r7, r6, asr #16
    pkhbt   r7, r8, r9, lsl #16
    pkhtb   r8, r9, r8, asr #16
    .if     \width > 5
    pkhbt   r9, r10, r11, lsl #16
    pkhtb   r10, r11, r10, asr #16
    .else
    sxtb16  r11, r11
    .endif
    carafe_narrow_plane \width, r12, r5, r7, r9
    add     r0, r0, r1
    carafe_narrow_plane \width, r12, r5, r7, r9, ", ror #8"
    add     r0, r0, r1
    carafe_narrow_plane \width, lr, r6, r8, r10
    add     r0, r0, r1
    carafe_narrow_plane \width, lr, r6, r8, r10, ", ror #8"
    ldr     r2, [sp, #NARROW_BACK]
    ldr     r4, [sp, #NARROW_CURSOR]
    sub     r0, r0, r2
    ldr     r2, [sp, #SLIDE_LIST_END + NARROW]
    cmp     r4, r2
    bne     20b
    b       30f
22: @ A line of padding.
    mov     r5, r11
    mov     r6, r11
    mov     r7, r11
    mov     r8, r11
    mov     r9, r11
    .if     \width > 5
    mov     r10, r11
    .endif
    b       21b

30: @ Then channel by channel. A plane ends where the next one begins.
    ldr     r0, [sp, #SLIDE_PLANES + NARROW]
    ldr     r1, [sp, #SLIDE_KERNEL + NARROW]
40: ldr     r2, [sp, #SLIDE_CHANNELS + NARROW]
    ldr     r3, [sp, #SLIDE_FIRST_OUT + NARROW]
    ldr     r5, [sp, #SLIDE_ROWS + NARROW]
    ldrd    r9, r4, [r2], #8
    str     r2, [sp, #SLIDE_CHANNELS + NARROW]
    adds    r2, r3, #1
    str     r2, [sp, #SLIDE_FIRST_OUT + NARROW]
    str     r4, [sp, #NARROW_MULTIPLIER]
    str     r3, [sp, #NARROW_OUT]
    str     r5, [sp, #NARROW_COUNT]
    .if     \width > 5
    str     r9, [sp, #NARROW_BIAS]
    .endif
41: @ A row.
    .if     \width > 5
    ldr     r9, [sp, #NARROW_BIAS]
    .endif
    carafe_narrow_row \width, r9, r9, r9, r9, r9
    carafe_narrow_row \width
    carafe_narrow_row \width
    ldm     sp, {r2, r3, r10, r11, r12, lr}
    smmlar  r4, r4, r2, r3
    smmlar  r5, r5, r2, r3
    smmlar  r6, r6, r2, r3
    smmlar  r7, r7, r2, r3
    smmlar  r8, r8, r2, r3
    ssat    r4, #8, r4
    ssat    r5, #8, r5
    ssat    r6, #8, r6
    ssat    r7, #8, r7
    ssat    r8, #8, r8
    strb    r4, [r10]
    strb    r5, [r10, r11]
    add     r10, r10, r11, lsl #1
    strb    r6, [r10]
    strb    r7, [r10, r11]
    add     r10, r10, r11, lsl #1
    strb    r8, [r10]
    .if     \width > 5
    smmlar  r9, r9, r2, r3
    ssat    r9, #8, r9
    strb    r9, [r10, r11]
    .endif
    subs    r12, #1
    beq     42f
    add     r10, r10, lr
    str     r12, [sp, #NARROW_COUNT]
    str     r10, [sp, #NARROW_OUT]
    subs    r0, #32
    subs    r1, #24
    b       41b
42: ldr     r2, [sp, #SLIDE_KERNEL + NARROW]
    adds    r2, #96
    cmp     r1, r2
    bne     40b
    ldrd    r3, r4, [sp, #SLIDE_CHANNELS + NARROW]
    ldr     r1, [sp, #SLIDE_FROM + NARROW]
    ldr     r2, [sp, #SLIDE_WEIGHTS + NARROW]
    adds    r1, #4
    adds    r2, #4
    str     r1, [sp, #SLIDE_FROM + NARROW]
    str     r2, [sp, #SLIDE_WEIGHTS + NARROW]
    cmp     r3, r4
    bne     10b
    add     sp, #20 + NARROW
    pop     {r4-r11, lr}
    add     sp, #16
    bx      lr
    .endm

@ void carafe_slide_five(SlideArguments), void carafe_slide_six(SlideArguments)
    .section .text.carafe_slide_five, "ax", %progbits
    .global carafe_slide_five
    .type carafe_slide_five, %function
    .thumb_func
    .p2align 2
carafe_slide_five:
    carafe_narrow_routine 5
    .size carafe_slide_five, . - carafe_slide_five
    .section .text.carafe_slide_six, "ax", %progbits
    .global carafe_slide_six
    .type carafe_slide_six, %function
    .thumb_func
    .p2align 2
carafe_slide_six:
    carafe_narrow_routine 6
    .size carafe_slide_six, . - carafe_slide_six
