#include "live_image.h"

#include "base/id.h"
#include "base/str.h"
#include "integrations/docker/docker_http.h"
#include "live.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>

#define BUSYBOX "/bin/busybox"
#define BLOCK 512

static const char *const programs[] = { "sh",   "echo", "printf", "sleep",    "dd",   "nc",    "true",
                                        "wget", "cat",  "id",     "hostname", "grep", "touch", "stat" };

static void die(const char *what)
{
    (void)fprintf(stderr, "live_image: %s\n", what);
    exit(1);
}

/* One ustar entry; `link` for a symbolic link. */
static void tar_entry(struct buf *tar, const char *name, const void *bytes, size_t len, unsigned mode, const char *link)
{
    char h[BLOCK] = { 0 };
    unsigned sum = 0;
    (void)snprintf(h, 100, "%s", name);
    (void)snprintf(h + 100, 8, "%07o", mode);
    (void)snprintf(h + 108, 8, "%07o", 0u);
    (void)snprintf(h + 116, 8, "%07o", 0u);
    (void)snprintf(h + 124, 12, "%011zo", len);
    (void)snprintf(h + 136, 12, "%011o", 1u);
    memset(h + 148, ' ', 8);
    h[156] = link ? '2' : '0';
    (void)snprintf(h + 157, 100, "%s", link ? link : "");
    memcpy(h + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof h; i++)
        sum += (unsigned char)h[i];
    (void)snprintf(h + 148, 8, "%06o", sum);
    buf_append(tar, h, sizeof h);
    buf_append(tar, bytes, len);
    while (tar->len % BLOCK)
        buf_putc(tar, '\0');
}

static void tar_end(struct buf *tar)
{
    char zeros[2 * BLOCK] = { 0 };
    if (buf_append(tar, zeros, sizeof zeros) < 0)
        die("no memory");
}

/* `note` makes the layer one of its own: an engine that has the same layer unpacked does not fetch it again. */
static void busybox_tar(struct buf *tar, const char *note)
{
    _cleanup_free_ char *bytes = NULL;
    size_t len;
    buf_init(tar, 0);
    if (file_read(BUSYBOX, (size_t)16 << 20, &bytes, &len) < 0)
        die("cannot read " BUSYBOX);
    tar_entry(tar, "bin/busybox", bytes, len, 0755, NULL);
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "bin/%s", programs[i]);
        tar_entry(tar, name, NULL, 0, 0777, "busybox");
    }
    tar_entry(tar, "note", note, strlen(note), 0644, NULL);
    tar_end(tar);
}

/* A dynamic one finds no libraries inside a container: it names its interpreter. */
bool live_image_possible(void)
{
    _cleanup_free_ char *bytes = NULL;
    size_t len;
    return file_read(BUSYBOX, (size_t)16 << 20, &bytes, &len) == 0 &&
           !memmem(bytes, len < 4096 ? len : 4096, "/lib64/ld-", 10);
}

void live_image_import(void)
{
    struct docker_http *h;
    struct error e = ERROR_INIT;
    struct buf tar;
    busybox_tar(&tar, "imported");
    struct docker_call call = { .method = "POST",
                                .path = "/images/create?fromSrc=-&repo=hbcloud-test-live&tag=1",
                                .body = tar.data,
                                .body_len = tar.len,
                                .deadline_ms = 60000 };
    struct docker_reply reply;
    if (live_http(&h, &e) < 0 || docker_http_call(h, &call, &reply, &e) < 0)
        die(e.message);
    if (reply.status != 200 || strstr(buf_str(&reply.body), "\"error\""))
        die(buf_str(&reply.body));
    docker_reply_done(&reply);
    docker_http_free(h);
    buf_done(&tar);
}

/* ---- a registry's side ---- */

static void digest_of(const struct buf *b, char ret[72])
{
    unsigned char sum[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(sum, (const unsigned char *)b->data, b->len);
    memcpy(ret, "sha256:", 7);
    hex_encode(sum, sizeof sum, ret + 7);
}

static size_t discard(char *bytes, size_t size, size_t n, void *ctx)
{
    (void)bytes;
    (void)ctx;
    return size * n;
}

/* Sends `body`; returns the status; `ret_location` may be NULL. */
static long send_body(const char *method, const char *url, const char *type, const struct buf *body,
                      char **ret_location)
{
    CURL *c = curl_easy_init();
    long status = 0;
    char header[128];
    (void)snprintf(header, sizeof header, "Content-Type: %s", type);
    struct curl_slist *headers = curl_slist_append(curl_slist_append(NULL, header), "Expect:");
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, body ? body->data : "");
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, body ? (long)body->len : 0L);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 60L);
    if (curl_easy_perform(c) != CURLE_OK)
        die("the registry does not answer");
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (ret_location) {
        struct curl_header *h;
        if (curl_easy_header(c, "Location", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
            die("the registry names no place for an upload");
        *ret_location = strdup(h->value);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    return status;
}

static void put_blob(const char *registry, const char *repository, const struct buf *blob, char ret_digest[72])
{
    char url[512];
    _cleanup_free_ char *location = NULL;
    (void)snprintf(url, sizeof url, "http://%s/v2/%s/blobs/uploads/", registry, repository);
    if (send_body("POST", url, "application/octet-stream", NULL, &location) != 202)
        die("the registry refuses an upload");
    digest_of(blob, ret_digest);
    bool relative = *location == '/';
    _cleanup_free_ char *put = str_printf("%s%s%s%cdigest=%s", relative ? "http://" : "", relative ? registry : "",
                                          location, strchr(location, '?') ? '&' : '?', ret_digest);
    if (send_body("PUT", put, "application/octet-stream", blob, NULL) != 201)
        die("the registry refuses a blob");
}

void live_image_push(const char *registry, const char *repository, size_t bytes, char ret_digest[72])
{
    struct buf layers[2], config, manifest;
    char digests[2][72], config_digest[72], url[512];
    char *noise = malloc(bytes);
    if (!noise)
        die("no memory");
    random_bytes(noise, bytes);
    busybox_tar(&layers[0], repository);
    buf_init(&layers[1], 0);
    tar_entry(&layers[1], "noise", noise, bytes, 0644, NULL);
    tar_end(&layers[1]);
    for (int i = 0; i < 2; i++)
        put_blob(registry, repository, &layers[i], digests[i]);
    buf_init(&config, 0);
    buf_printf(
        &config,
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"sh\"],\"ExposedPorts\":{\"80/tcp\":{}}},"
        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}",
        digests[0], digests[1]);
    put_blob(registry, repository, &config, config_digest);
    buf_init(&manifest, 0);
    buf_printf(
        &manifest,
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
        "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[",
        config_digest, config.len);
    for (int i = 0; i < 2; i++)
        buf_printf(&manifest,
                   "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}",
                   i ? "," : "", digests[i], layers[i].len);
    buf_puts(&manifest, "]}");
    digest_of(&manifest, ret_digest);
    (void)snprintf(url, sizeof url, "http://%s/v2/%s/manifests/1", registry, repository);
    if (send_body("PUT", url, "application/vnd.oci.image.manifest.v1+json", &manifest, NULL) != 201)
        die("the registry refuses the manifest");
    for (int i = 0; i < 2; i++)
        buf_done(&layers[i]);
    buf_done(&config);
    buf_done(&manifest);
    free(noise);
}
