/* SPDX-License-Identifier: GPL-2.0-only */
/* Proofs of the pre-shared key; see "Sessions and security" in wire.h. */
#ifndef QTFS_AUTH_H
#define QTFS_AUTH_H

#include <linux/types.h>

/* SHA-256 of the two bodies of HELLO. */
int qtfs_auth_transcript(const void *hello, size_t hello_len, const void *rep,
			 size_t rep_len, u8 transcript[32]);

/* HMAC-SHA-256(key, label | transcript). */
int qtfs_auth_proof(const void *key, size_t key_len, const char *label,
		    const u8 transcript[32], u8 proof[32]);

#endif /* QTFS_AUTH_H */
