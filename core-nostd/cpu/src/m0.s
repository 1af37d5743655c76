    .syntax unified
    .thumb

@ Two inputs, two channels, one pixel: the word of sums, T = C + p*V + q*R, is added to \sum, its high half to \high.
@ V in \v, R in r7.
    .macro carafe_quads_pixel x, v, sum, high
    ldm     \x!, {r4, r5, r6}
    muls    r5, \v, r5
    muls    r6, r7, r6
    adds    r4, r4, r5
    adds    r4, r4, r6
    add     \sum, r4
    asrs    r4, r4, #16
    add     \high, r4
    .endm

@ Two pixels.
    .macro carafe_quads_step
    ldm     r2!, {r3}
    rev16   r7, r3
    carafe_quads_pixel r0, r3, r8, r9
    carafe_quads_pixel r1, r3, r10, r11
    .endm

@ Four inputs of a pixel alone.
    .macro carafe_quads_single
    ldm     r2!, {r1, r3}
    rev16   r7, r1
    carafe_quads_pixel r0, r1, r8, r9
    rev16   r7, r3
    carafe_quads_pixel r0, r3, r8, r9
    .endm

@ void carafe_quads(QuadsArguments *)
@ r0 r1 inputs of either pixel, r2 weights, r12 end of a line, lr lines, r8 r10 sums of words, r9 r11 of high halves.
    .section .text.carafe_quads, "ax", %progbits
    .global carafe_quads
    .type carafe_quads, %function
    .thumb_func
    .p2align 2
carafe_quads:
    push    {r4-r7, lr}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {r0, r4-r7}
1:  @ A pair of channels.
    ldr     r7, [sp]
    ldr     r4, [r7, #28]
    cmp     r4, #0
    bne     2f
    ldr     r0, [r7, #36]
    movs    r1, #0
    mov     r2, r0
    movs    r3, #0
    b       3f
2:  ldm     r4!, {r0, r1, r2, r3}
    str     r4, [r7, #28]
3:  mov     r8, r0
    mov     r9, r1
    mov     r10, r2
    mov     r11, r3
    ldr     r0, [r7]
    ldr     r1, [r7, #4]
    ldr     r2, [r7, #20]
    ldr     r3, [r7, #16]
4:  @ A line.
    mov     lr, r3
    ldr     r3, [r7, #8]
    adds    r4, r0, r3
    mov     r12, r4
    ldr     r4, [r7, #4]
    cmp     r4, #0
    beq     8f
    @ Inputs are a multiple of 4, 24 bytes. A turn takes 8; of what is not a multiple of that, the first is a half.
    lsls    r3, r3, #28
    bmi     6f
5:  carafe_quads_step
    carafe_quads_step
6:  carafe_quads_step
    carafe_quads_step
    cmp     r0, r12
    bne     5b
7:  mov     r3, lr
    ldr     r7, [sp]
    subs    r3, #1
    beq     11f
    ldr     r4, [r7, #12]
    adds    r0, r0, r4
    adds    r1, r1, r4
    b       4b
8:  lsls    r3, r3, #28
    bmi     10f
9:  carafe_quads_single
10: carafe_quads_single
    cmp     r0, r12
    bne     9b
    b       7b

11: ldr     r3, [r7, #24]
    adds    r2, r2, r3
    str     r2, [r7, #20]
    mov     r0, r8
    mov     r1, r9
    mov     r2, r10
    mov     r3, r11
    ldr     r4, [r7, #32]
    cmp     r4, #0
    beq     12f
    stm     r4!, {r0, r1, r2, r3}
    str     r4, [r7, #32]
    b       15f

12: @ The sum of a is that of words without those of b.
    lsls    r1, r1, #16
    subs    r0, r0, r1
    mov     r8, r0
    lsls    r3, r3, #16
    subs    r2, r2, r3
    mov     r10, r2
    movs    r3, #0x80
    lsls    r3, r3, #8
    mov     r12, r3
    .macro carafe_quads_finish channel, first, second
    ldr     r3, [r7, #40]
    ldm     r3!, {r4, r5}
    str     r3, [r7, #40]
    add     \first, r4
    add     \second, r4
    uxth    r1, r5
    asrs    r2, r5, #16
    ldr     r6, [r7, #56]
    mov     r0, \first
    bl      16f
    ldr     r4, [r7, #44]
    strb    r0, [r4, #\channel]
    ldr     r4, [r7, #4]
    cmp     r4, #0
    beq     100f
    mov     r0, \second
    bl      16f
    ldr     r4, [r7, #48]
    strb    r0, [r4, #\channel]
100:
    .endm
    carafe_quads_finish 0, r8, r10
    carafe_quads_finish 1, r9, r11
    ldr     r3, [r7, #44]
    adds    r3, #2
    str     r3, [r7, #44]
    ldr     r3, [r7, #48]
    adds    r3, #2
    str     r3, [r7, #48]

15: ldr     r3, [r7, #60]
    subs    r3, #1
    str     r3, [r7, #60]
    beq     18f
    b       1b
18: pop     {r0, r4-r7}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {r4-r7, pc}

@ r0: the element of a sum. With the halves h and l of sum and multiplier (r2, r1), the products are added from the
@ lowest, 2^31 with them; no sum on the way leaves 32 bits.
16: lsls    r0, r6
    asrs    r3, r0, #16
    uxth    r0, r0
    mov     r4, r0
    muls    r4, r1, r4
    lsrs    r4, r4, #16
    add     r4, r12
    muls    r0, r2, r0
    adds    r0, r0, r4
    uxth    r4, r0
    asrs    r0, r0, #16
    mov     r5, r3
    muls    r5, r1, r5
    adds    r4, r4, r5
    asrs    r4, r4, #16
    muls    r3, r2, r3
    adds    r0, r0, r4
    ldr     r4, [r7, #52]
    adds    r0, r0, r3
    adds    r0, r0, r4
    sxtb    r3, r0
    cmp     r3, r0
    bne     17f
    bx      lr
17: movs    r3, #127
    asrs    r0, r0, #31
    eors    r0, r3
    bx      lr
    .size carafe_quads, . - carafe_quads

@ void carafe_quads_widen(uint32_t *to, const uint8_t *x, uint32_t bytes)
@ r1 x, r2 x + 1, r3 bytes done, r8 bytes, r12 the offset.
    .macro carafe_quads_widen_step load, less
    \load   r4, [r1, r3]
    \load   r5, [r2, r3]
    .ifnb \less
    subs    r4, #\less
    subs    r5, #\less
    .endif
    adds    r3, #2
    lsls    r6, r4, #16
    adds    r4, r4, r6
    lsls    r6, r5, #16
    adds    r5, r5, r6
    lsls    r7, r5, #8
    subs    r6, r4, r7
    lsls    r7, r4, #8
    subs    r7, r5, r7
    adds    r4, r4, r5
    lsls    r4, r4, #7
    mov     r5, r12
    subs    r5, r5, r4
    stm     r0!, {r5, r6, r7}
    .endm

    .macro carafe_quads_widen_loop name, load, less
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
    .p2align 2
\name:
    push    {r4-r7, lr}
    mov     lr, r2
    movs    r3, #0x80
    lsls    r3, r3, #8
    subs    r3, #1
    mov     r12, r3
    movs    r3, #0
    adds    r2, r1, #1
1:  carafe_quads_widen_step \load, \less
    carafe_quads_widen_step \load, \less
    cmp     r3, lr
    bne     1b
    pop     {r4-r7, pc}
    .size \name, . - \name
    .endm

    carafe_quads_widen_loop carafe_quads_widen, ldrsb
    carafe_quads_widen_loop carafe_quads_widen_u8, ldrb, 128

@ void carafe_quads_move(uint32_t *to, const uint32_t *from, const uint32_t *end)
    .section .text.carafe_quads_move, "ax", %progbits
    .global carafe_quads_move
    .type carafe_quads_move, %function
    .thumb_func
    .p2align 2
carafe_quads_move:
    push    {r4-r7, lr}
    mov     r12, r2
1:  ldm     r1!, {r2-r7}
    stm     r0!, {r2-r7}
    cmp     r1, r12
    bne     1b
    pop     {r4-r7, pc}
    .size carafe_quads_move, . - carafe_quads_move

@ A tap: r4 of the operand, r5 of the weights. Two taps.
    .macro carafe_listed_step
    ldm     r0!, {r4, r5, r6, r7}
    ldrsb   r4, [r4, r2]
    ldrsb   r5, [r5, r2]
    ldrsb   r6, [r6, r2]
    ldrsb   r7, [r7, r2]
    muls    r4, r5, r4
    muls    r6, r7, r6
    adds    r3, r3, r4
    adds    r3, r3, r6
    .endm

@ void carafe_listed(const ListedArguments *)
@ r0 list of taps, r1 multiplier, r2 channel, r3 sum, r8 begin of the list, r9 its end, r10 parameters, r11 results, r12 2^15,
@ lr where the first turn begins.
    .section .text.carafe_listed, "ax", %progbits
    .global carafe_listed
    .type carafe_listed, %function
    .thumb_func
    .p2align 2
carafe_listed:
    push    {r4-r7, lr}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {r0, r4-r7}
    ldm     r0!, {r1, r2, r3, r4}
    mov     r8, r1
    mov     r9, r2
    mov     r10, r3
    mov     r11, r4
    movs    r4, #0x80
    lsls    r4, r4, #8
    mov     r12, r4
    @ A turn takes 8 taps, 64 bytes of the list, an odd tap comes first. Of what is left the first turn takes what is not a
    @ multiple of that.
    subs    r2, r2, r1
    movs    r3, #0x30
    ands    r3, r2
    beq     2f
    @ 18 bytes of code for every 16 of the list.
    lsrs    r4, r3, #3
    adds    r3, r3, r4
    negs    r3, r3
    adds    r3, #72
2:  adr     r4, 3f
    adds    r4, r4, r3
    adds    r4, #1
    mov     lr, r4
    movs    r2, #0
1:  @ A channel.
    mov     r0, r10
    ldm     r0!, {r3, r4}
    mov     r10, r0
    mov     r1, r4
    mov     r0, r8
    mov     r4, r9
    subs    r4, r4, r0
    lsls    r4, r4, #28
    beq     4f
    ldm     r0!, {r4, r5}
    ldrsb   r4, [r4, r2]
    ldrsb   r5, [r5, r2]
    muls    r4, r5, r4
    adds    r3, r3, r4
    cmp     r0, r9
    beq     5f
4:  bx      lr
    .p2align 2
3:  carafe_listed_step
    carafe_listed_step
    carafe_listed_step
    carafe_listed_step
    cmp     r0, r9
    bne     3b
5:  @ See `carafe_quads`: the products of the halves of sum and multiplier.
    ldr     r7, [sp]
    ldr     r6, [r7, #20]
    lsls    r3, r6
    asrs    r0, r1, #16
    uxth    r1, r1
    asrs    r4, r3, #16
    uxth    r3, r3
    mov     r5, r3
    muls    r5, r1, r5
    lsrs    r5, r5, #16
    add     r5, r12
    muls    r3, r0, r3
    adds    r3, r3, r5
    uxth    r5, r3
    asrs    r3, r3, #16
    muls    r1, r4, r1
    adds    r1, r1, r5
    asrs    r1, r1, #16
    adds    r3, r3, r1
    muls    r0, r4, r0
    adds    r3, r3, r0
    ldr     r4, [r7, #16]
    adds    r3, r3, r4
    sxtb    r4, r3
    cmp     r4, r3
    bne     7f
6:  mov     r0, r11
    strb    r3, [r0, r2]
    adds    r2, #1
    ldr     r4, [r7, #24]
    cmp     r2, r4
    bne     1b
    pop     {r0, r4-r7}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {r4-r7, pc}
7:  movs    r4, #127
    asrs    r3, r3, #31
    eors    r3, r4
    b       6b
    .size carafe_listed, . - carafe_listed
