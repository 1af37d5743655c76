    .syntax unified
    .thumb
    .cpu cortex-m55

@ Sums go to the even registers: VMLADAV takes no others. Pointers have the odd ones.

@ Products of three pixels and two channels with the next 16 inputs. `to` is vmladav for the first ones.
@ r1 r3 r5 pixels, r7 r9 weights.
    .macro carafe_mve_six to
    vldrb.u8 q0, [r7], #16
    vldrb.u8 q1, [r9], #16
    vldrb.u8 q2, [r1], #16
    \to\().s8 r0, q0, q2
    vldrb.u8 q3, [r3], #16
    \to\().s8 r2, q1, q2
    \to\().s8 r4, q0, q3
    vldrb.u8 q2, [r5], #16
    \to\().s8 r6, q1, q3
    \to\().s8 r8, q0, q2
    \to\().s8 r10, q1, q2
    .endm

@ The same of less than 16 inputs, as many as are set in the predicate.
    .macro carafe_mve_six_few
    vpstttt
    vldrbt.u8 q0, [r7]
    vldrbt.u8 q1, [r9]
    vldrbt.u8 q2, [r1]
    vmladavt.s8 r0, q0, q2
    vpstttt
    vldrbt.u8 q3, [r3]
    vmladavt.s8 r2, q1, q2
    vmladavt.s8 r4, q0, q3
    vldrbt.u8 q2, [r5]
    vpsttt
    vmladavt.s8 r6, q1, q3
    vmladavt.s8 r8, q0, q2
    vmladavt.s8 r10, q1, q2
    .endm

@ All inputs of two channels.
    .macro carafe_mve_pair few
    .if \few
    carafe_mve_six_few
    .else
    carafe_mve_six vmladav
    wlstp.8 lr, r11, 4f
3:  carafe_mve_six vmladava
    letp    lr, 3b
4:
    .endif
    .endm

@ Four channels of three pixels at a time; all pixels before the next channels.
    .macro carafe_mve_three name, few
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
    .p2align 2
\name:
    push    {r4-r11, lr}
    vpush   {d8-d13}
    mov     r12, r0
    ldr     r11, [r12, #56]
    .if \few
    vctp.8  r11
    .endif
1:  ldrd    r0, r1, [r12, #48]
    str     r0, [r12]
    str     r1, [r12, #24]
2:  ldrd    r1, r5, [r12]
    ldrd    r7, r9, [r12, #8]
    add     r3, r1, r5
    add     r5, r3, r5
    carafe_mve_pair \few
    vmov    q4[2], q4[0], r0, r2
    vmov    q5[2], q5[0], r4, r6
    vmov    q6[2], q6[0], r8, r10
    ldrd    r1, lr, [r12]
    ldrd    r7, r9, [r12, #16]
    add     r3, r1, lr
    add     r5, r3, lr
    add     lr, r5
    str     lr, [r12]
    carafe_mve_pair \few
    vmov    q4[3], q4[1], r0, r2
    vmov    q5[3], q5[1], r4, r6
    vmov    q6[3], q6[1], r8, r10
    ldrd    r0, r1, [r12, #32]
    ldrd    r3, r9, [r12, #40]
    ldrd    r5, r7, [r12, #24]
    vld20.32 {q0, q1}, [r0]
    vld21.32 {q0, q1}, [r0]
    vldrw.u32 q2, [r12, #68]
    vldrw.u32 q3, [r12, #84]
    vadd.i32 q4, q4, q0
    vadd.i32 q5, q5, q0
    vadd.i32 q6, q6, q0
    vshl.s32 q4, r3
    vshl.s32 q5, r3
    vshl.s32 q6, r3
    vrmulh.s32 q4, q4, q1
    vrmulh.s32 q5, q5, q1
    vrmulh.s32 q6, q6, q1
    vadd.i32 q4, q4, r1
    vadd.i32 q5, q5, r1
    vadd.i32 q6, q6, r1
    vmax.s32 q4, q4, q2
    vmax.s32 q5, q5, q2
    vmax.s32 q6, q6, q2
    vmin.s32 q4, q4, q3
    vmin.s32 q5, q5, q3
    vmin.s32 q6, q6, q3
    vstrb.32 q4, [r5]
    add     r5, r7
    vstrb.32 q5, [r5]
    add     r5, r7
    vstrb.32 q6, [r5]
    add     r5, r7
    str     r5, [r12, #24]
    cmp     r5, r9
    bne     2b
    @ The next four channels.
    ldrd    r1, r2, [r12, #60]
    subs    r2, #1
    beq     5f
    str     r2, [r12, #64]
    adds    r0, #32
    str     r0, [r12, #32]
    ldrd    r4, r5, [r12, #8]
    ldrd    r6, r7, [r12, #16]
    add     r4, r1
    add     r5, r1
    add     r6, r1
    add     r7, r1
    strd    r4, r5, [r12, #8]
    strd    r6, r7, [r12, #16]
    ldr     r3, [r12, #52]
    adds    r3, #4
    str     r3, [r12, #52]
    add     r9, #4
    str     r9, [r12, #44]
    b       1b
5:  vpop    {d8-d13}
    pop     {r4-r11, pc}
    .size \name, . - \name
    .endm

@ void carafe_mve_three(ThreeArguments *): 16 inputs or more
    carafe_mve_three carafe_mve_three, 0
@ void carafe_mve_three_few(ThreeArguments *): up to 16
    carafe_mve_three carafe_mve_three_few, 1

@ Products of a pixel and four channels with the next 16 inputs. r1 pixel, r5 r7 r9 r11 weights.
    .macro carafe_mve_four to
    vldrb.u8 q0, [r1], #16
    vldrb.u8 q1, [r5], #16
    vldrb.u8 q2, [r7], #16
    \to\().s8 r0, q0, q1
    vldrb.u8 q3, [r9], #16
    \to\().s8 r2, q0, q2
    vldrb.u8 q1, [r11], #16
    \to\().s8 r4, q0, q3
    \to\().s8 r6, q0, q1
    .endm

@ Four channels of one pixel at a time.
    .macro carafe_mve_one name, few
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
    .p2align 2
\name:
    push    {r4-r11, lr}
    vpush   {d8-d15}
    mov     r12, r0
    ldrd    r8, r3, [r12, #4]
    ldr     r10, [r12, #12]
    .if \few
    vctp.8  r10
    .endif
    vldrw.u32 q5, [r12, #36]
    vldrw.u32 q6, [r12, #52]
    ldr     r0, [r12, #28]
    vdup.32 q7, r0
1:  ldr     r1, [r12]
    ldr     r11, [r12, #16]
    mov     r5, r8
    add     r7, r8, r11
    add     r9, r7, r11
    add     r8, r8, r11, lsl #2
    add     r11, r9, r11
    .if \few
    vpstttt
    vldrbt.u8 q0, [r1]
    vldrbt.u8 q1, [r5]
    vldrbt.u8 q2, [r7]
    vmladavt.s8 r0, q0, q1
    vpstttt
    vldrbt.u8 q3, [r9]
    vmladavt.s8 r2, q0, q2
    vldrbt.u8 q1, [r11]
    vmladavt.s8 r4, q0, q3
    vpst
    vmladavt.s8 r6, q0, q1
    .else
    carafe_mve_four vmladav
    wlstp.8 lr, r10, 4f
3:  carafe_mve_four vmladava
    letp    lr, 3b
4:
    .endif
    vmov    q4[2], q4[0], r0, r4
    vmov    q4[3], q4[1], r2, r6
    ldrd    r0, r1, [r12, #20]
    vld20.32 {q0, q1}, [r0]
    vld21.32 {q0, q1}, [r0]!
    str     r0, [r12, #20]
    vadd.i32 q4, q4, q0
    vshl.s32 q4, r1
    vrmulh.s32 q4, q4, q1
    ldr     r2, [r12, #32]
    vadd.i32 q4, q4, q7
    vmax.s32 q4, q4, q5
    vmin.s32 q4, q4, q6
    vstrb.32 q4, [r3], #4
    cmp     r3, r2
    bne     1b
    vpop    {d8-d15}
    pop     {r4-r11, pc}
    .size \name, . - \name
    .endm

@ void carafe_mve_one(OneArguments *): 16 inputs or more
    carafe_mve_one carafe_mve_one, 0
@ void carafe_mve_one_few(OneArguments *): up to 16
    carafe_mve_one carafe_mve_one_few, 1

@ void carafe_mve_columns(uint8_t *to, const uint8_t *from, const ColumnsArguments *)
@ Copies the channels of pixels, 16 of all pixels before the next.
    .section .text.carafe_mve_columns, "ax", %progbits
    .global carafe_mve_columns
    .type carafe_mve_columns, %function
    .thumb_func
    .p2align 2
carafe_mve_columns:
    push    {r4-r9, lr}
    ldm     r2, {r3, r4, r5, r6, r7, r8}
    vdup.8  q1, r8
1:  vctp.8  r6
    mov     r2, r0
    mov     r9, r1
    dls     lr, r3
2:  vpst
    vldrbt.u8 q0, [r9]
    add     r9, r4
    veor    q0, q0, q1
    vpst
    vstrbt.8 q0, [r2]
    add     r2, r5
    le      lr, 2b
    adds    r0, #16
    add     r1, r7
    subs    r6, #16
    bhi     1b
    pop     {r4-r9, pc}
    .size carafe_mve_columns, . - carafe_mve_columns

@ void carafe_mve_fill(uint8_t *to, uint32_t byte, uint32_t bytes)
    .section .text.carafe_mve_fill, "ax", %progbits
    .global carafe_mve_fill
    .type carafe_mve_fill, %function
    .thumb_func
    .p2align 2
carafe_mve_fill:
    push    {r7, lr}
    vdup.8  q0, r1
    wlstp.8 lr, r2, 2f
1:  vstrb.8 q0, [r0], #16
    letp    lr, 1b
2:  pop     {r7, pc}
    .size carafe_mve_fill, . - carafe_mve_fill

@ void carafe_mve_copy(uint8_t *to, const uint8_t *from, uint32_t bytes)
    .section .text.carafe_mve_copy, "ax", %progbits
    .global carafe_mve_copy
    .type carafe_mve_copy, %function
    .thumb_func
    .p2align 2
carafe_mve_copy:
    push    {r7, lr}
    wlstp.8 lr, r2, 2f
1:  vldrb.u8 q0, [r1], #16
    vstrb.8 q0, [r0], #16
    letp    lr, 1b
2:  pop     {r7, pc}
    .size carafe_mve_copy, . - carafe_mve_copy

@ void carafe_mve_sum(uint8_t *sums, const uint8_t *x, const SumArguments *)
@ Adds pixels to the sums of channels, four channels of all pixels before the next.
    .section .text.carafe_mve_sum, "ax", %progbits
    .global carafe_mve_sum
    .type carafe_mve_sum, %function
    .thumb_func
    .p2align 2
carafe_mve_sum:
    push    {r4-r6, lr}
    ldm     r2, {r3, r4, r5}
1:  vctp.32 r3
    vpst
    vldrbt.u8 q0, [r0]
    mov     r6, r1
    dls     lr, r4
2:  vpst
    vldrbt.s32 q1, [r6]
    add     r6, r5
    vadd.i32 q0, q0, q1
    le      lr, 2b
    vpst
    vstrbt.8 q0, [r0]
    adds    r0, #16
    adds    r1, #4
    subs    r3, #4
    bhi     1b
    pop     {r4-r6, pc}
    .size carafe_mve_sum, . - carafe_mve_sum

@ Puts lines of 16 channels side by side: a word of four bytes per channel, 16 words per pixel.
@ r0 to, r1-r4 lines, r5-r8 steps.
    .macro carafe_mve_store
    vst40.8 {q0, q1, q2, q3}, [r0]
    vst41.8 {q0, q1, q2, q3}, [r0]
    vst42.8 {q0, q1, q2, q3}, [r0]
    vst43.8 {q0, q1, q2, q3}, [r0]!
    .endm

@ void carafe_mve_depthwise(DepthwiseArguments *)
@ 16 channels of all pixels before the next: first their lines are put side by side in the scratch memory, then four of
@ them at a time are made. q0-q3 weights of the four, q4 their taps, then their sums, q5 biases, q6 multipliers, q7
@ addresses of up to four words of taps.
    .section .text.carafe_mve_depthwise, "ax", %progbits
    .global carafe_mve_depthwise
    .type carafe_mve_depthwise, %function
    .thumb_func
    .p2align 2
carafe_mve_depthwise:
    push    {r4-r11, lr}
    vpush   {d8-d15}
    mov     r12, r0
1:  ldrd    r9, r10, [r12, #72]
    ldr     r11, [r12, #88]
    lsl     r11, #2
    movs    r7, #16
    cmp     r9, r10
    beq     6f
2:  @ A group of lines. Those that are not padding move on to the next channels.
    vldrw.u32 q0, [r9, #4]
    mov     r0, r9
    vldrh.u32 q1, [r0, #20]
    ldm     r9, {r0, r1, r2, r3, r4}
    vcmp.i32 ne, q1, zr
    vpst
    vaddt.i32 q0, q0, r7
    vstrw.32 q0, [r9, #4]
    vctp.8  r11
    ldr     lr, [r9, #28]
    ldrh    r5, [r9, #20]
    ldrh    r6, [r9, #22]
    ldrh    r7, [r9, #24]
    ldrh    r8, [r9, #26]
    dls     lr, lr
    cbz     r4, 4f
3:  vpstttt
    vldrbt.u8 q0, [r1]
    vldrbt.u8 q1, [r2]
    vldrbt.u8 q2, [r3]
    vldrbt.u8 q3, [r4]
    add     r1, r5
    add     r2, r6
    add     r3, r7
    add     r4, r8
    carafe_mve_store
    le      lr, 3b
    b       5f
4:  @ Three lines, and zeros.
    vmov.i32 q3, #0
7:  vpsttt
    vldrbt.u8 q0, [r1]
    vldrbt.u8 q1, [r2]
    vldrbt.u8 q2, [r3]
    add     r1, r5
    add     r2, r6
    add     r3, r7
    carafe_mve_store
    le      lr, 7b
5:  add     r9, #32
    movs    r7, #16
    cmp     r9, r10
    bne     2b

6:  ldm     r12, {r5, r7, r8, r9, r10, r11}
    movs    r1, #4
8:  @ Four channels.
    ldr     r2, [r12, #80]
    vldrw.u32 q7, [r12, #40]
    vadd.i32 q7, q7, r10
    vctp.32 r2
    vpstttt
    vldrwt.u32 q0, [q7]
    vldrwt.u32 q1, [q7, #4]
    vldrwt.u32 q2, [q7, #8]
    vldrwt.u32 q3, [q7, #12]
    str     r1, [r12, #8]
    ldrd    r0, r1, [r12, #24]
    ldrd    r3, r4, [r12, #32]
    vld20.32 {q5, q6}, [r0]
    vld21.32 {q5, q6}, [r0]!
    str     r0, [r12, #24]
    vldrw.u32 q7, [r12, #56]
    vadd.i32 q7, q7, r11
    dls     lr, r4
9:  vldrw.u32 q4, [q7]
    vmladav.s8 r0, q4, q0
    vldrw.u32 q4, [q7, #4]
    vmladav.s8 r2, q4, q1
    vldrw.u32 q4, [q7, #8]
    vmladav.s8 r4, q4, q2
    vldrw.u32 q4, [q7, #12]
    vmladav.s8 r6, q4, q3
    vadd.i32 q7, q7, r5
    vmov    q4[2], q4[0], r0, r4
    vmov    q4[3], q4[1], r2, r6
    vadd.i32 q4, q4, q5
    vshl.s32 q4, r9
    vrmulh.s32 q4, q4, q6
    vadd.i32 q4, q4, r7
    vqmovnb.s32 q4, q4
    vqmovnb.s16 q4, q4
    vstrb.32 q4, [r1]
    add     r1, r3
    le      lr, 9b
    @ The next four channels.
    ldr     r0, [r12, #88]
    ldrd    r1, r2, [r12, #8]
    ldr     r3, [r12, #28]
    adds    r3, #4
    str     r3, [r12, #28]
    subs    r0, #1
    str     r0, [r12, #88]
    beq     10f
    add     r10, #16
    add     r11, #16
    subs    r1, #1
    bne     8b
    ldr     r0, [r12, #16]
    ldr     r1, [r12, #84]
    add     r0, r1
    str     r0, [r12, #16]
    b       1b
10: vpop    {d8-d15}
    pop     {r4-r11, pc}
    .size carafe_mve_depthwise, . - carafe_mve_depthwise
