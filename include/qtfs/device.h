/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Commands of ioctl(2) for devices that may be made on the server, and what
 * they take and give. What is not here is ENOTTY: its argument may be
 * anything, and its effect too.
 *
 * Structures and numbers of flags are those of asm-generic, which x86, arm64
 * and riscv share; each number in them is little-endian.
 */
#ifndef QTFS_DEVICE_H
#define QTFS_DEVICE_H

/* What an argument points to. X(NAME, how many of 64, 32, 16, 8 and again 32 bits, in that order) */
#define QTFS_ARGUMENT_LIST(X) \
	X(NONE,		0, 0, 0,  0, 0) \
	X(VALUE,	0, 0, 0,  0, 0) /* the argument itself */ \
	X(INT,		0, 1, 0,  0, 0) \
	X(WINSIZE,	0, 0, 4,  0, 0) \
	X(TERMIOS,	0, 4, 0, 20, 0) \
	X(TERMIOS2,	0, 4, 0, 20, 2) \
	X(WATCHDOG,	0, 2, 0, 32, 0)

enum qtfs_argument {
#define X(name, n64, n32, n16, n8, more) QTFS_ARGUMENT_##name,
	QTFS_ARGUMENT_LIST(X)
#undef X
};

/* The longest of them. */
#define QTFS_ARGUMENT_MAX 64

/* X(number on the wire, NAME of the command, what it takes, what it gives) */
#define QTFS_DEVICE_IOCTL_LIST(X) \
	/* terminals */ \
	X(2,  TCGETS,	   NONE,     TERMIOS) \
	X(3,  TCSETS,	   TERMIOS,  NONE) \
	X(4,  TCSETSW,	   TERMIOS,  NONE) \
	X(5,  TCSETSF,	   TERMIOS,  NONE) \
	X(6,  TCGETS2,	   NONE,     TERMIOS2) \
	X(7,  TCSETS2,	   TERMIOS2, NONE) \
	X(8,  TCSETSW2,	   TERMIOS2, NONE) \
	X(9,  TCSETSF2,	   TERMIOS2, NONE) \
	X(10, TIOCGWINSZ,  NONE,     WINSIZE) \
	X(11, TIOCSWINSZ,  WINSIZE,  NONE) \
	X(12, TCSBRK,	   VALUE,    NONE) \
	X(13, TCSBRKP,	   VALUE,    NONE) \
	X(14, TCXONC,	   VALUE,    NONE) \
	X(15, TCFLSH,	   VALUE,    NONE) \
	X(16, FIONREAD,	   NONE,     INT) \
	X(17, TIOCOUTQ,	   NONE,     INT) \
	X(18, TIOCGPTN,	   NONE,     INT) \
	X(19, TIOCSPTLCK,  INT,	     NONE) \
	X(20, TIOCGPTLCK,  NONE,     INT) \
	X(21, TIOCMGET,	   NONE,     INT) \
	X(22, TIOCMSET,	   INT,	     NONE) \
	X(23, TIOCMBIS,	   INT,	     NONE) \
	X(24, TIOCMBIC,	   INT,	     NONE) \
	X(25, TIOCSBRK,	   NONE,     NONE) \
	X(26, TIOCCBRK,	   NONE,     NONE) \
	X(27, TIOCEXCL,	   NONE,     NONE) \
	X(28, TIOCNXCL,	   NONE,     NONE) \
	/* watchdogs */ \
	X(32, WDIOC_GETSUPPORT,	    NONE, WATCHDOG) \
	X(33, WDIOC_GETSTATUS,	    NONE, INT) \
	X(34, WDIOC_GETBOOTSTATUS,  NONE, INT) \
	X(35, WDIOC_SETOPTIONS,	    INT,  NONE) \
	X(36, WDIOC_KEEPALIVE,	    NONE, NONE) \
	X(37, WDIOC_SETTIMEOUT,	    INT,  INT) \
	X(38, WDIOC_GETTIMEOUT,	    NONE, INT) \
	X(39, WDIOC_SETPRETIMEOUT,  INT,  INT) \
	X(40, WDIOC_GETPRETIMEOUT,  NONE, INT) \
	X(41, WDIOC_GETTIMELEFT,    NONE, INT)

#endif /* QTFS_DEVICE_H */
