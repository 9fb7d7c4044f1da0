#include "textflag.h"

// The stub of a program: see program.go for the layout of what it reads.
// R20 is the table, R19 the step.
TEXT stub<>(SB), NOSPLIT|NOFRAME, $0
	MOVD $0x10000000, R20
	MOVD 0(R20), R19

next:
	MOVD 0(R19), R8
	MOVD 8(R19), R0
	MOVD 16(R19), R1
	MOVD 24(R19), R2
	MOVD 32(R19), R3
	MOVD 40(R19), R4
	MOVD 48(R19), R5
	SVC
	MOVD R0, 56(R19)
	MOVD 64(R19), R9
	MOVD R0, (R9)
	CMN  $4095, R0
	BHS  failed
	MOVD 72(R19), R19
	B    next

failed:
	MOVD R19, 8(R20)
	MOVD 80(R19), R19
	B    next

TEXT stubEnd<>(SB), NOSPLIT|NOFRAME, $0
	RET

// func stubText() (start, end uintptr)
TEXT ·stubText(SB), NOSPLIT, $0-16
	MOVD $stub<>(SB), R0
	MOVD R0, start+0(FP)
	MOVD $stubEnd<>(SB), R0
	MOVD R0, end+8(FP)
	RET
