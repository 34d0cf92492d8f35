#include "integrations/github/github.h"

#include "base/str.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define DIGEST_LEN 32

/* The one algorithm that is taken: its name never reaches a lookup of algorithms. */
static int read_signature(const char *header, uint8_t ret[DIGEST_LEN], struct error *e)
{
    static const char prefix[] = "sha256=";
    const char *hex = header + sizeof prefix - 1;
    if (!str_starts(header, prefix) || strlen(hex) != (size_t)2 * DIGEST_LEN ||
        strspn(hex, "0123456789abcdef") != (size_t)2 * DIGEST_LEN || hex_decode(hex, ret, DIGEST_LEN) < 0)
        return error_set(e, ERR_VALIDATION,
                         "X-Hub-Signature-256 must be \"sha256=\" and 64 lower-case hexadecimal digits.");
    return 0;
}

int github_check_signature(const struct secret *key, const char *header, const char *body, size_t len, struct error *e)
{
    uint8_t given[DIGEST_LEN], right[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    size_t key_len = 0;
    int r = read_signature(header, given, e);
    if (r < 0)
        return r;
    const char *bytes = secret_reveal(key, &key_len);
    if (!HMAC(EVP_sha256(), bytes, (int)key_len, (const unsigned char *)body, len, right, &n) || n != DIGEST_LEN)
        return error_set(e, ERR_INTERNAL, "The signature cannot be computed.");
    bool same = CRYPTO_memcmp(given, right, DIGEST_LEN) == 0;
    secret_wipe(right, sizeof right);
    return same ? 0
                : error_set(e, ERR_UNAUTHENTICATED,
                            "The signature does not fit the body: another secret, or a changed body.");
}
