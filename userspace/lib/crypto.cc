// SPDX-License-Identifier: GPL-2.0-only
#include "lib/crypto.hh"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

#include <cstdlib>

namespace qtfs {

namespace {
unsigned char* raw(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}
}  // namespace

Digest sha256(Bytes first, Bytes second) {
  Digest out{};
  unsigned int len = 0;
  EVP_MD_CTX* ctx = EVP_MD_CTX_new();
  const bool done = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), nullptr) == 1 &&
                    EVP_DigestUpdate(ctx, first.data(), first.size()) == 1 &&
                    EVP_DigestUpdate(ctx, second.data(), second.size()) == 1 &&
                    EVP_DigestFinal_ex(ctx, raw(out.data()), &len) == 1;
  EVP_MD_CTX_free(ctx);
  if (!done)
    std::abort();  // a half-made digest must never pass for one
  return out;
}

Digest proof_of(Bytes key, std::string_view label, const Digest& transcript) {
  std::array<std::byte, 64> message{};
  if (label.size() + transcript.size() > message.size())
    std::abort();
  std::memcpy(message.data(), label.data(), label.size());
  std::memcpy(message.data() + label.size(), transcript.data(), transcript.size());
  Digest out{};
  unsigned int len = 0;
  if (!HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(message.data()),
            label.size() + transcript.size(), raw(out.data()), &len))
    std::abort();
  return out;
}

bool same_digest(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void fill_random(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got > 0)
      out = out.subspan(static_cast<size_t>(got));
    else if (errno != EINTR)
      std::abort();  // no randomness, no security
  }
}

}  // namespace qtfs
