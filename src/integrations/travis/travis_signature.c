#include "integrations/travis/travis.h"

#include "base/str.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define SIGNATURE_MAX 1024 /* bytes: RSA keys up to 8192 bits */

static int read_signature(const char *header, uint8_t ret[SIGNATURE_MAX], size_t *ret_len, struct error *e)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(header), body = strspn(header, letters), pad = n - body;
    bool form = n && n % 4 == 0 && n / 4 * 3 <= SIGNATURE_MAX && pad <= 2 && strspn(header + body, "=") == pad;
    int got = form ? EVP_DecodeBlock(ret, (const unsigned char *)header, (int)n) : -1;
    if (got < 0 || (size_t)got <= pad)
        return error_set(e, ERR_VALIDATION, "The header Signature is not the Base64 of an RSA signature.");
    *ret_len = (size_t)got - pad;
    return 0;
}

static EVP_PKEY *read_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

int travis_check_signature(const char *pem, const char *header, const char *payload, size_t len, struct error *e)
{
    uint8_t signature[SIGNATURE_MAX];
    size_t n = 0;
    int r = read_signature(header, signature, &n, e);
    if (r < 0)
        return r;
    EVP_PKEY *key = read_key(pem);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (!key || !md)
        r = error_set(e, ERR_UPSTREAM, "The public key of Travis CI is no RSA key.");
    else /* SHA-1 is what Travis signs with; it is their choice, not ours */
        r = EVP_DigestVerifyInit(md, NULL, EVP_sha1(), NULL, key) == 1 &&
            EVP_DigestVerify(md, signature, n, (const unsigned char *)payload, len) == 1;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    return r;
}
