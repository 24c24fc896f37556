/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Error numbers on the wire. Fixed: they do not follow a host's errno.h, which
 * differs among architectures. 0 is success; a number that is not listed is
 * read as EIO.
 */
#ifndef QTFS_ERRNO_H
#define QTFS_ERRNO_H

/* X(name, number on the wire) */
#define QTFS_ERRNO_LIST(X) \
	X(EPERM, 1) \
	X(ENOENT, 2) \
	X(ESRCH, 3) \
	X(EINTR, 4) \
	X(EIO, 5) \
	X(ENXIO, 6) \
	X(E2BIG, 7) \
	X(ENOEXEC, 8) \
	X(EBADF, 9) \
	X(ECHILD, 10) \
	X(EAGAIN, 11) \
	X(ENOMEM, 12) \
	X(EACCES, 13) \
	X(EFAULT, 14) \
	X(ENOTBLK, 15) \
	X(EBUSY, 16) \
	X(EEXIST, 17) \
	X(EXDEV, 18) \
	X(ENODEV, 19) \
	X(ENOTDIR, 20) \
	X(EISDIR, 21) \
	X(EINVAL, 22) \
	X(ENFILE, 23) \
	X(EMFILE, 24) \
	X(ENOTTY, 25) \
	X(ETXTBSY, 26) \
	X(EFBIG, 27) \
	X(ENOSPC, 28) \
	X(ESPIPE, 29) \
	X(EROFS, 30) \
	X(EMLINK, 31) \
	X(EPIPE, 32) \
	X(EDOM, 33) \
	X(ERANGE, 34) \
	X(EDEADLK, 35) \
	X(ENAMETOOLONG, 36) \
	X(ENOLCK, 37) \
	X(ENOSYS, 38) \
	X(ENOTEMPTY, 39) \
	X(ELOOP, 40) \
	X(EBADR, 53) \
	X(ENODATA, 61) \
	X(ETIME, 62) \
	X(EREMOTE, 66) \
	X(EPROTO, 71) \
	X(EOVERFLOW, 75) \
	X(EBADFD, 77) \
	X(EILSEQ, 84) \
	X(EUSERS, 87) \
	X(ENOTSOCK, 88) \
	X(EDESTADDRREQ, 89) \
	X(EMSGSIZE, 90) \
	X(EPROTOTYPE, 91) \
	X(EPROTONOSUPPORT, 93) \
	X(EOPNOTSUPP, 95) \
	X(EADDRINUSE, 98) \
	X(EADDRNOTAVAIL, 99) \
	X(ENETDOWN, 100) \
	X(ENETUNREACH, 101) \
	X(ECONNABORTED, 103) \
	X(ECONNRESET, 104) \
	X(ENOBUFS, 105) \
	X(EISCONN, 106) \
	X(ENOTCONN, 107) \
	X(ETIMEDOUT, 110) \
	X(ECONNREFUSED, 111) \
	X(EHOSTDOWN, 112) \
	X(EHOSTUNREACH, 113) \
	X(EALREADY, 114) \
	X(EINPROGRESS, 115) \
	X(ESTALE, 116) \
	X(EUCLEAN, 117) \
	X(EDQUOT, 122) \
	X(ENOMEDIUM, 123) \
	X(EMEDIUMTYPE, 124) \
	X(ECANCELED, 125) \
	X(ENOKEY, 126) \
	X(EKEYEXPIRED, 127) \
	X(EKEYREJECTED, 129) \
	X(ERFKILL, 132)

enum qtfs_errno {
#define X(name, number) QTFS_##name = (number),
	QTFS_ERRNO_LIST(X)
#undef X
};

/* A host's (positive) error number as it is sent. */
static inline unsigned int qtfs_errno_to_wire(int err)
{
	switch (err) {
	case 0:
		return 0;
#define X(name, number) case name: return (number);
	QTFS_ERRNO_LIST(X)
#undef X
	default:
		return QTFS_EIO;
	}
}

/* The host's (positive) error number for one that was received. */
static inline int qtfs_errno_from_wire(unsigned int wire)
{
	switch (wire) {
	case 0:
		return 0;
#define X(name, number) case number: return name;
	QTFS_ERRNO_LIST(X)
#undef X
	default:
		return EIO;
	}
}

#endif /* QTFS_ERRNO_H */
