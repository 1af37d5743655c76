    .syntax unified
    .thumb

@ Three pixels, two channels, four inputs: 24 products in 17 instructions.
@ A word of weights holds b1:a1:b0:a0, halfwords 256*b + a: it serves for S, and its low bytes, widened, for A. Sums begin
@ as they are, or all with what lr has.
    .macro carafe_tile_step s0=r8, s1=r9, s2=r10, a0=r11, a1=r12
    ldrd    r3, r4, [r1], #8
    ldm     r0!, {r5, r6, r7}
    smlad   r8, r5, r3, \s0
    smlad   r9, r6, r3, \s1
    smlad   r10, r7, r3, \s2
    sxtb16  r3, r3
    smlad   r11, r5, r3, \a0
    smlad   r12, r6, r3, \a1
    smlad   lr, r7, r3, lr
    ldm     r0!, {r5, r6, r7}
    smlad   r8, r5, r4, r8
    smlad   r9, r6, r4, r9
    smlad   r10, r7, r4, r10
    sxtb16  r4, r4
    smlad   r11, r5, r4, r11
    smlad   r12, r6, r4, r12
    smlad   lr, r7, r4, lr
    .endm

@ The same for two pixels, of columns of three.
    .macro carafe_tile_step_of_two s0=r8, s1=r9, a0=r11, a1=r12
    ldrd    r3, r4, [r1], #8
    ldm     r0!, {r5, r6, r7}
    smlad   r8, r5, r3, \s0
    smlad   r9, r6, r3, \s1
    sxtb16  r3, r3
    smlad   r11, r5, r3, \a0
    smlad   r12, r6, r3, \a1
    ldm     r0!, {r5, r6, r7}
    smlad   r8, r5, r4, r8
    smlad   r9, r6, r4, r9
    sxtb16  r4, r4
    smlad   r11, r5, r4, r11
    smlad   r12, r6, r4, r12
    .endm

@ Four inputs of three pixels: 12 elements widened in 10 instructions. r1, r2, r3 pixels, r0 words.
    .macro carafe_tile_columns extend
1:  ldr     r7, [r1], #4
    ldr     r8, [r2], #4
    ldr     r9, [r3], #4
    subs    r11, #4
    \extend r4, r7
    \extend r5, r8
    \extend r6, r9
    \extend r7, r7, ror #8
    \extend r8, r8, ror #8
    \extend r9, r9, ror #8
    stm     r0!, {r4, r5, r6, r7, r8, r9}
    bne     1b
    .endm

@ Fields of the arguments, which come by value: behind the registers that are saved, the four words that came in registers,
@ and behind these the others, where the caller put them. The routine counts in them.
    .equ    TILE_X, 36
    .equ    TILE_CHANNELS, 44
    .equ    TILE_OUT, 48
    .equ    TILE_OTHERS, 52
    .equ    TILE_ZERO_POINT, 60
    .equ    TILE_CHANNELS_END, 68
    .equ    TILE_WEIGHTS, 72
    .equ    TILE_ENTRY, 76
    .equ    TILE_TILES, 80
    .equ    TILE_TWOS, 84
    .equ    TILE_LINES, 88
    .equ    TILE_RUN, 96
    .equ    TILE_OFFSET, 104
    .equ    TILE_FIRST_CHANNEL, 108
    .equ    TILE_OUT_GAP, 112
    .equ    TILE_WINDOW, 116
    .equ    TILE_INPUTS, 120
    .equ    TILE_UNSIGNED, 124
    .equ    TILE_ZERO, 128

@ void carafe_tiles(TilesArguments), void carafe_tile(TileArguments)
@ carafe_tile makes one tile, whose columns are there.
    .section .text.carafe_tile, "ax", %progbits
    .global carafe_tiles
    .type carafe_tiles, %function
    .thumb_func
    .p2align 2
carafe_tiles:
    push    {r0-r3}
    push    {r4-r11, lr}
10: @ The columns of a tile.
    ldrd    r10, r4, [sp, #TILE_LINES]
    ldrd    r12, lr, [sp, #TILE_RUN]
    ldr     r0, [sp, #TILE_WINDOW]
    cmp     r0, #0
    bne     20f
    ldr     r0, [sp, #TILE_X]
11: @ A line of three windows.
    ldr     r9, [sp, #TILE_OFFSET]
    ldr     r1, [r10], #4
    mov     r11, r12
    cmp     r1, #0
    beq     13f
    add     r1, r1, r9
    ldr     r3, [sp, #TILE_TILES]
    add     r2, r1, lr
    ldr     r4, [sp, #TILE_UNSIGNED]
    cmp     r3, #0
    ite     eq
    moveq   r3, r2
    addne   r3, r2, lr
    cbnz    r4, 12f
    carafe_tile_columns sxtb16
    ldr     r4, [sp, #TILE_LINES + 4]
    cmp     r10, r4
    bne     11b
    b       30f
12: carafe_tile_columns uxtb16
    ldr     r4, [sp, #TILE_LINES + 4]
    cmp     r10, r4
    bne     11b
    b       30f

13: @ A line of padding.
    ldr     r4, [sp, #TILE_ZERO]
    mov     r5, r4
    mov     r6, r4
    mov     r7, r4
    mov     r8, r4
    mov     r9, r4
14: stm     r0!, {r4, r5, r6, r7, r8, r9}
    subs    r11, #4
    bne     14b
    ldr     r4, [sp, #TILE_LINES + 4]
    cmp     r10, r4
    bne     11b
    b       30f

20: @ Lines that are no words: first the bytes of three windows one behind the other, then these as one line.
    ldr     r6, [sp, #TILE_OFFSET]
    ldr     r5, [sp, #TILE_INPUTS]
    ldr     r9, [sp, #TILE_TILES]
    cmp     r9, #0
    ite     eq
    moveq   r9, #2
    movne   r9, #3
21: mov     r7, r0
    ldr     r10, [sp, #TILE_LINES]
22: ldr     r1, [r10], #4
    mov     r2, r12
    add     r1, r1, r6
    subs    r2, #4
    blo     24f
23: ldr     r3, [r1], #4
    subs    r2, #4
    str     r3, [r7], #4
    bhs     23b
24: adds    r2, #4
    beq     26f
25: ldrb    r3, [r1], #1
    subs    r2, #1
    strb    r3, [r7], #1
    bne     25b
26: cmp     r10, r4
    bne     22b
    add     r6, r6, lr
    add     r0, r0, r5
    subs    r9, #1
    bne     21b
    ldr     r1, [sp, #TILE_WINDOW]
    mov     r11, r5
    add     r2, r1, r5
    ldr     r4, [sp, #TILE_TILES]
    ldr     r0, [sp, #TILE_X]
    cmp     r4, #0
    ite     eq
    moveq   r3, r2
    addne   r3, r2, r5
    ldr     r4, [sp, #TILE_UNSIGNED]
    cbnz    r4, 27f
    carafe_tile_columns sxtb16
    b       30f
27: carafe_tile_columns uxtb16
    b       30f

    .size carafe_tiles, . - carafe_tiles
    .global carafe_tile
    .type carafe_tile, %function
    .thumb_func
carafe_tile:
    push    {r0-r3}
    push    {r4-r11, lr}
30: @ The product. The first step begins the sums. Of the others, a turn takes four; what is not a multiple of that is
    @ a part of the first turn, which is entered where it begins. A step takes 24 bytes of columns: bits 3 and 4 of what
    @ is left say how many of its steps are left out.
    ldrd    r0, r2, [sp, #TILE_X]
    ldr     r7, [sp, #TILE_TILES]
    ldr     r1, [sp, #TILE_WEIGHTS]
    sub     r5, r2, r0
    sub     r5, #24
    ubfx    r6, r5, #3, #2
    cbz     r7, 31f
    adr     r3, 33f
    adr     r4, 40f
    add     r4, r4, r6, lsl #6
    adr     r6, 41f
    b       32f
31: @ Of two pixels, a step is 48 bytes.
    adr     r3, 45f
    adr     r4, 46f
    add     r6, r6, r6, lsl #1
    add     r4, r4, r6, lsl #4
    adr     r6, 48f
32: cmp     r5, #0
    it      eq
    moveq   r4, r6
    ldr     r7, [sp, #TILE_CHANNELS]
    orr     r4, r4, #1
    orr     r3, r3, #1
    str     r4, [sp, #TILE_ENTRY]
    bx      r3
    .p2align 2
33: @ A pair of channels, whose parameters r7 points to.
    ldr     lr, [r7]
    carafe_tile_step lr, lr, lr, lr, lr
    ldr     pc, [sp, #TILE_ENTRY]
    .p2align 2
40: carafe_tile_step
    carafe_tile_step
    carafe_tile_step
    carafe_tile_step
    cmp     r0, r2
    bne     40b

    .p2align 2
41: ldr     r7, [sp, #TILE_CHANNELS]
    ldm     r7!, {r3, r4, r5, r6}
    @ b = (S - A) / 256 + bias of b
    sub     r8, r8, r11
    sub     r9, r9, r12
    sub     r10, r10, lr
    ldrd    r2, r3, [sp, #TILE_ZERO_POINT]
    str     r7, [sp, #TILE_CHANNELS]
    add     r8, r5, r8, asr #8
    add     r9, r5, r9, asr #8
    add     r10, r5, r10, asr #8
    cbnz    r3, 43f
42: smmlar  r11, r11, r4, r2
    smmlar  r8, r8, r6, r2
    smmlar  r12, r12, r4, r2
    smmlar  r9, r9, r6, r2
    smmlar  lr, lr, r4, r2
    smmlar  r10, r10, r6, r2
    ldrd    r3, r4, [sp, #TILE_OUT]
    ldr     r5, [sp, #TILE_OTHERS + 4]
    ldr     r6, [sp, #TILE_CHANNELS_END]
    ssat    r11, #8, r11
    ssat    r8, #8, r8
    ssat    r12, #8, r12
    ssat    r9, #8, r9
    ssat    lr, #8, lr
    ssat    r10, #8, r10
    bfi     r11, r8, #8, #24
    bfi     r12, r9, #8, #24
    bfi     lr, r10, #8, #24
    strh    r12, [r3, r4]
    strh    lr, [r3, r5]
    strh    r11, [r3], #2
    ldrd    r0, r2, [sp, #TILE_X]
    str     r3, [sp, #TILE_OUT]
    cmp     r7, r6
    bne     33b
    b       51f
43: lsl     r8, r8, r3
    lsl     r9, r9, r3
    lsl     r10, r10, r3
    lsl     r11, r11, r3
    lsl     r12, r12, r3
    lsl     lr, lr, r3
    b       42b

    .p2align 2
48: @ As 41, of two pixels.
    ldr     r7, [sp, #TILE_CHANNELS]
    ldm     r7!, {r3, r4, r5, r6}
    sub     r8, r8, r11
    sub     r9, r9, r12
    ldrd    r2, r3, [sp, #TILE_ZERO_POINT]
    str     r7, [sp, #TILE_CHANNELS]
    add     r8, r5, r8, asr #8
    add     r9, r5, r9, asr #8
    cbnz    r3, 44f
49: smmlar  r11, r11, r4, r2
    smmlar  r8, r8, r6, r2
    smmlar  r12, r12, r4, r2
    smmlar  r9, r9, r6, r2
    ldrd    r3, r4, [sp, #TILE_OUT]
    ldr     r6, [sp, #TILE_CHANNELS_END]
    ssat    r11, #8, r11
    ssat    r8, #8, r8
    ssat    r12, #8, r12
    ssat    r9, #8, r9
    bfi     r11, r8, #8, #24
    bfi     r12, r9, #8, #24
    strh    r12, [r3, r4]
    strh    r11, [r3], #2
    ldrd    r0, r2, [sp, #TILE_X]
    str     r3, [sp, #TILE_OUT]
    cmp     r7, r6
    bne     45f
    b       51f
44: lsl     r8, r8, r3
    lsl     r9, r9, r3
    lsl     r11, r11, r3
    lsl     r12, r12, r3
    b       49b

51: @ The next tile: as many pixels on as this one has.
    ldrd    r4, r5, [sp, #TILE_TILES]
    add     r6, r4, r5
    cmp     r6, #1
    beq     50f
    ldrd    r6, r7, [sp, #TILE_RUN + 4]
    ldrd    r8, r9, [sp, #TILE_FIRST_CHANNEL]
    str     r8, [sp, #TILE_CHANNELS]
    add     r7, r7, r6, lsl #1
    cbz     r4, 52f
    subs    r4, #1
    str     r4, [sp, #TILE_TILES]
    add     r7, r7, r6
    b       53f
52: subs    r5, #1
    ldr     r6, [sp, #TILE_OTHERS]
    str     r5, [sp, #TILE_TWOS]
    sub     r9, r9, r6
53: add     r3, r3, r9
    str     r7, [sp, #TILE_OFFSET]
    str     r3, [sp, #TILE_OUT]
    b       10b
    .p2align 2
45: ldr     lr, [r7]
    carafe_tile_step_of_two lr, lr, lr, lr
    ldr     pc, [sp, #TILE_ENTRY]
    .p2align 2
46: carafe_tile_step_of_two
    carafe_tile_step_of_two
    carafe_tile_step_of_two
    carafe_tile_step_of_two
    cmp     r0, r2
    bne     46b
    b       48b
50: pop     {r4-r11, lr}
    add     sp, #16
    bx      lr
    .size carafe_tile, . - carafe_tile
