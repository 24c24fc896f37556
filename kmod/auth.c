// SPDX-License-Identifier: GPL-2.0-only
/* Proofs of the pre-shared key, by the kernel's SHA-256 and HMAC (RFC 2104). */
#include <crypto/hash.h>
#include <linux/err.h>
#include <linux/string.h>

#include "auth.h"

/* The hash (keyed, if @key_len) of @a and @b, one after the other. */
static int auth_hash(const char *alg, const void *key, size_t key_len,
		     const void *a, size_t a_len, const void *b, size_t b_len,
		     u8 *out)
{
	struct crypto_shash *tfm = crypto_alloc_shash(alg, 0, 0);
	int err = 0;

	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	if (key_len)
		err = crypto_shash_setkey(tfm, key, key_len);
	if (!err) {
		SHASH_DESC_ON_STACK(desc, tfm);

		desc->tfm = tfm;
		err = crypto_shash_init(desc) ?:
		      crypto_shash_update(desc, a, a_len) ?:
		      crypto_shash_update(desc, b, b_len) ?:
		      crypto_shash_final(desc, out);
		shash_desc_zero(desc);
	}
	crypto_free_shash(tfm);
	return err;
}

int qtfs_auth_transcript(const void *hello, size_t hello_len, const void *rep,
			 size_t rep_len, u8 transcript[32])
{
	return auth_hash("sha256", NULL, 0, hello, hello_len, rep, rep_len,
			 transcript);
}

int qtfs_auth_proof(const void *key, size_t key_len, const char *label,
		    const u8 transcript[32], u8 proof[32])
{
	return auth_hash("hmac(sha256)", key, key_len, label, strlen(label),
			 transcript, 32, proof);
}
