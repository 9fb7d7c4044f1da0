#include "textflag.h"

// The stub of a program: see program.go for the layout of what it reads.
// R14 is the table, R15 the step.
TEXT stub<>(SB), NOSPLIT|NOFRAME, $0
	MOVQ $0x10000000, R14
	MOVQ 0(R14), R15

next:
	MOVQ 0(R15), AX
	MOVQ 8(R15), DI
	MOVQ 16(R15), SI
	MOVQ 24(R15), DX
	MOVQ 32(R15), R10
	MOVQ 40(R15), R8
	MOVQ 48(R15), R9
	SYSCALL
	MOVQ AX, 56(R15)
	MOVQ 64(R15), CX
	MOVQ AX, (CX)
	CMPQ AX, $-4095
	JCC  failed
	MOVQ 72(R15), R15
	JMP  next

failed:
	MOVQ R15, 8(R14)
	MOVQ 80(R15), R15
	JMP  next

TEXT stubEnd<>(SB), NOSPLIT|NOFRAME, $0
	RET

// func stubText() (start, end uintptr)
TEXT ·stubText(SB), NOSPLIT, $0-16
	LEAQ stub<>(SB), AX
	MOVQ AX, start+0(FP)
	LEAQ stubEnd<>(SB), AX
	MOVQ AX, end+8(FP)
	RET
