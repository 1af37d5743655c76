    .syntax unified
    .thumb

@ Two pixels, four channels, two inputs: 16 products in 12 instructions and 13 cycles, since four loads one behind the other
@ take five. (Loads of two words would be two instructions fewer, and a cycle more.) r0 and r1 point to the last words that
@ were read.
@ A word of weights holds b1:a1+128:b0:a0+128, the next one d1:c1:d0:c0, halfwords 256*b + a + 128 and 256*d + c. They serve for
@ S1 and S3; moved together, 256*c + b, for S2. r2 is a mask of high bytes.
    .macro carafe_tile_step at
    ldr     r3, [r1, #\at + 4]
    .if \at < 120
    ldr     r4, [r1, #\at + 8]
    .else
    ldr     r4, [r1, #\at + 8]!
    .endif
    ldr     r5, [r0, #\at + 4]
    .if \at < 120
    ldr     r6, [r0, #\at + 8]
    .else
    ldr     r6, [r0, #\at + 8]!
    .endif
    smlad   r12, r5, r4, r12
    smlad   lr, r6, r4, lr
    and     r4, r2, r4, lsl #8
    smlad   r8, r5, r3, r8
    smlad   r9, r6, r3, r9
    sxtab16 r4, r4, r3, ror #8
    smlad   r10, r5, r4, r10
    smlad   r11, r6, r4, r11
    .endm

@ Four inputs of two pixels, widened, and -128 (r3) times their sums. r1 and r2 pixels, r0 words.
    .macro carafe_tile_columns extend
1:  ldr     r6, [r1], #4
    ldr     r7, [r2], #4
    subs    r11, #4
    \extend r4, r6
    \extend r5, r7
    \extend r6, r6, ror #8
    \extend r7, r7, ror #8
    smlad   r8, r4, r3, r8
    smlad   r9, r5, r3, r9
    smlad   r8, r6, r3, r8
    smlad   r9, r7, r3, r9
    stm     r0!, {r4, r5, r6, r7}
    bne     1b
    .endm

    .macro carafe_tile_no_sums
    mvn     r3, #0x007f007f
    mov     r8, #0
    mov     r9, r8
    .endm

@ Fields of the arguments, which come by value: behind the registers that are saved, the four words that came in registers,
@ and behind these the others, where the caller put them. The routine counts in them.
    .equ    TILE_X, 36
    .equ    TILE_LAST, 40
    .equ    TILE_CHANNELS, 44
    .equ    TILE_OUT, 48
    .equ    TILE_OTHER, 52
    .equ    TILE_ZERO_POINT, 56
    .equ    TILE_SHIFT, 60
    .equ    TILE_FOURS_END, 64
    .equ    TILE_CHANNELS_END, 68
    .equ    TILE_WEIGHTS, 72
    .equ    TILE_ENTRY, 76
    .equ    TILE_MASK, 80
    .equ    TILE_SUMS, 84
    .equ    TILE_PIXELS, 92
    .equ    TILE_LINES, 96
    .equ    TILE_RUN, 104
    .equ    TILE_DISTANCE, 108
    .equ    TILE_OFFSET, 112
    .equ    TILE_OUT_GAP, 120
    .equ    TILE_WINDOW, 124
    .equ    TILE_INPUTS, 128
    .equ    TILE_ZERO, 132
    .equ    TILE_ADVANCE, 136

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
    carafe_tile_no_sums
11: @ A line of two windows.
    ldr     r1, [r10], #4
    ldr     r4, [sp, #TILE_OFFSET]
    mov     r11, r12
    cbz     r1, 14f
    add     r1, r1, r4
    add     r2, r1, lr
12: ldr     r4, [sp, #TILE_INPUTS]
    lsls    r4, r4, #31
    bne     13f
    carafe_tile_columns sxtb16
    b       16f
13: carafe_tile_columns uxtb16
    b       16f

14: @ A line of padding.
    ldr     r4, [sp, #TILE_ZERO]
    mov     r5, r4
    mov     r6, r4
    mov     r7, r4
15: stm     r0!, {r4, r5, r6, r7}
    smlad   r8, r4, r3, r8
    smlad   r8, r4, r3, r8
    smlad   r9, r4, r3, r9
    smlad   r9, r4, r3, r9
    subs    r11, #4
    bne     15b
16: ldr     r4, [sp, #TILE_LINES + 4]
    cmp     r10, r4
    bne     11b
    b       30f

20: @ Lines that are no words: first the bytes of two windows one behind the other, then these as one line.
    ldr     r6, [sp, #TILE_OFFSET]
    ldr     r5, [sp, #TILE_INPUTS]
    mov     r9, #2
    bic     r5, r5, #1
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
    ldr     r0, [sp, #TILE_X]
    carafe_tile_no_sums
    b       12b

    .size carafe_tiles, . - carafe_tiles
    .global carafe_tile
    .type carafe_tile, %function
    .thumb_func
carafe_tile:
    push    {r0-r3}
    push    {r4-r11, lr}
    ldrd    r0, r2, [sp, #TILE_X]
    adds    r2, #4
    carafe_tile_no_sums
17: ldm     r0!, {r4, r5, r6, r7}
    smlad   r8, r4, r3, r8
    smlad   r9, r5, r3, r9
    smlad   r8, r6, r3, r8
    smlad   r9, r7, r3, r9
    cmp     r0, r2
    bne     17b

30: @ The product. The first step begins the sums. Of the others, whose number is odd, a turn takes sixteen; what is not a
    @ multiple of that is a part of the first turn, which is entered where it begins, with pointers moved back as if it
    @ were whole. A step takes 8 bytes of columns. How far they are moved back is told by the low byte of the mask, which meets
    @ nothing.
    ldrd    r0, r7, [sp, #TILE_X]
    strd    r8, r9, [sp, #TILE_SUMS]
    add     r5, r0, #4
    ldr     r1, [sp, #TILE_WEIGHTS]
    subs    r5, r5, r7
    subs    r1, #4
    and     r5, r5, #120
    mov     r2, #0xff00ff00
    adr     r4, 40f
    add     r2, r2, r5
    ldr     r3, [sp, #TILE_CHANNELS]
    add     r4, r4, r5, lsl #2
    str     r2, [sp, #TILE_MASK]
    add     r4, r4, r5
    ldr     r5, [sp, #TILE_FOURS_END]
    orr     r4, r4, #1
    str     r4, [sp, #TILE_ENTRY]
    cmp     r3, r5
    beq     50f
31: @ Four channels. Loads stand one behind the other, as in a step.
    ldr     r0, [sp, #TILE_X]
    ldr     r7, [sp, #TILE_LAST]
    ldr     r8, [sp, #TILE_SUMS]
    ldr     r9, [sp, #TILE_SUMS + 4]
    ldr     r2, [sp, #TILE_MASK]
    ldr     r3, [r1, #4]
    ldr     r4, [r1, #8]!
    ldr     r5, [r0]
    ldr     r6, [r0, #4]!
    uxtb    r10, r2
    smuad   r12, r5, r4
    smuad   lr, r6, r4
    and     r4, r2, r4, lsl #8
    smlad   r8, r5, r3, r8
    smlad   r9, r6, r3, r9
    sxtab16 r4, r4, r3, ror #8
    sub     r0, r0, r10
    sub     r1, r1, r10
    smuad   r10, r5, r4
    smuad   r11, r6, r4
    ldr     pc, [sp, #TILE_ENTRY]
    .p2align 2
40: carafe_tile_step 0
    carafe_tile_step 8
    carafe_tile_step 16
    carafe_tile_step 24
    carafe_tile_step 32
    carafe_tile_step 40
    carafe_tile_step 48
    carafe_tile_step 56
    carafe_tile_step 64
    carafe_tile_step 72
    carafe_tile_step 80
    carafe_tile_step 88
    carafe_tile_step 96
    carafe_tile_step 104
    carafe_tile_step 112
    carafe_tile_step 120
    cmp     r0, r7
    bne     40b

    @ a = S1 - 2^8 S2 + 2^16 S3 modulo 2^24, 256 b = S1 - a, 256 c = S2 - b, 256 d = S3 - c
    sub     r3, r8, r10, lsl #8
    sub     r4, r9, r11, lsl #8
    add     r3, r3, r12, lsl #16
    add     r4, r4, lr, lsl #16
    sbfx    r3, r3, #0, #24
    sbfx    r4, r4, #0, #24
    sub     r8, r8, r3
    sub     r9, r9, r4
    sub     r10, r10, r8, asr #8
    sub     r11, r11, r9, asr #8
    sub     r12, r12, r10, asr #8
    sub     lr, lr, r11, asr #8
    ldr     r7, [sp, #TILE_CHANNELS]
    ldr     r0, [sp, #TILE_ZERO_POINT]
    ldr     r2, [sp, #TILE_SHIFT]
    .macro carafe_tile_channel first, second, shifted, moved=0
    ldm     r7!, {r5, r6}
    .if \moved
    add     \first, r5, \first, asr #8
    add     \second, r5, \second, asr #8
    .else
    add     \first, \first, r5
    add     \second, \second, r5
    .endif
    .if \shifted
    lsl     \first, \first, r2
    lsl     \second, \second, r2
    .endif
    smmlar  \first, \first, r6, r0
    smmlar  \second, \second, r6, r0
    .endm
    cmp     r2, #0
    bne     43f
    carafe_tile_channel r3, r4, 0
    carafe_tile_channel r8, r9, 0, 1
    carafe_tile_channel r10, r11, 0, 1
    carafe_tile_channel r12, lr, 0, 1
42: ssat    r3, #8, r3
    ssat    r4, #8, r4
    ssat    r8, #8, r8
    ssat    r9, #8, r9
    ldr     r5, [sp, #TILE_OUT]
    ldr     r6, [sp, #TILE_OTHER]
    ldr     r0, [sp, #TILE_FOURS_END]
    ssat    r10, #8, r10
    ssat    r11, #8, r11
    ssat    r12, #8, r12
    ssat    lr, #8, lr
    bfi     r3, r8, #8, #24
    bfi     r4, r9, #8, #24
    bfi     r3, r10, #16, #16
    bfi     r4, r11, #16, #16
    bfi     r3, r12, #24, #8
    bfi     r4, lr, #24, #8
    str     r4, [r5, r6]
    str     r3, [r5], #4
    str     r7, [sp, #TILE_CHANNELS]
    str     r5, [sp, #TILE_OUT]
    cmp     r7, r0
    bne     31b
    ldr     r6, [sp, #TILE_CHANNELS_END]
    cmp     r7, r6
    bne     49f
    b       60f
43: carafe_tile_channel r3, r4, 1
    carafe_tile_channel r8, r9, 1, 1
    carafe_tile_channel r10, r11, 1, 1
    carafe_tile_channel r12, lr, 1, 1
    b       42b

49: ldrd    r0, r7, [sp, #TILE_X]
50: adds    r7, #4
    @ Two channels that are left, a word for two inputs: S in r8 and r9, A in r10 and r11.
    mov     r8, #0
    mov     r9, r8
    mov     r10, r8
    mov     r11, r8
51: ldr     r3, [r1, #4]!
    ldm     r0!, {r5, r6}
    smlad   r8, r5, r3, r8
    smlad   r9, r6, r3, r9
    sxtb16  r3, r3
    smlad   r10, r5, r3, r10
    smlad   r11, r6, r3, r11
    cmp     r0, r7
    bne     51b
    sub     r8, r8, r10
    sub     r9, r9, r11
    ldr     r7, [sp, #TILE_CHANNELS]
    ldrd    r0, r2, [sp, #TILE_ZERO_POINT]
    ldm     r7, {r3, r4, r5, r6}
    add     r10, r10, r3
    add     r11, r11, r3
    add     r8, r5, r8, asr #8
    add     r9, r5, r9, asr #8
    lsl     r10, r10, r2
    lsl     r11, r11, r2
    lsl     r8, r8, r2
    lsl     r9, r9, r2
    smmlar  r10, r10, r4, r0
    smmlar  r11, r11, r4, r0
    smmlar  r8, r8, r6, r0
    smmlar  r9, r9, r6, r0
    ldrd    r5, r6, [sp, #TILE_OUT]
    ssat    r10, #8, r10
    ssat    r11, #8, r11
    ssat    r8, #8, r8
    ssat    r9, #8, r9
    bfi     r10, r8, #8, #24
    bfi     r11, r9, #8, #24
    strh    r11, [r5, r6]
    strh    r10, [r5], #2

60: @ The next tile; r5 is where the channels of this one's first pixel end. Of one pixel, the second is the first.
    ldr     r3, [sp, #TILE_PIXELS]
    subs    r3, #2
    bls     61f
    str     r3, [sp, #TILE_PIXELS]
    ldr     r6, [sp, #TILE_ADVANCE]
    ldrd    r7, r8, [sp, #TILE_OFFSET]
    ldr     r9, [sp, #TILE_OUT_GAP]
    add     r7, r7, r6
    add     r5, r5, r9
    str     r7, [sp, #TILE_OFFSET]
    str     r8, [sp, #TILE_CHANNELS]
    str     r5, [sp, #TILE_OUT]
    cmp     r3, #1
    bne     10b
    movs    r3, #0
    str     r3, [sp, #TILE_DISTANCE]
    str     r3, [sp, #TILE_OTHER]
    b       10b
61: pop     {r4-r11, lr}
    add     sp, #16
    bx      lr
    .size carafe_tile, . - carafe_tile
