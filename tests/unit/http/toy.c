#include "toy.h"

#include "base/json.h"
#include "base/str.h"

#include <stdio.h>

const char toy_contract[] =
    "openapi: 3.1.0\n"
    "info: { title: toy, version: 1.0.0 }\n"
    "servers: [{ url: /v1 }]\n"
    "paths:\n"
    "  /things:\n"
    "    get:\n"
    "      operationId: listThings\n"
    "      x-role: viewer\n"
    "      parameters:\n"
    "        - { $ref: '#/components/parameters/Limit' }\n"
    "        - { name: label, in: query, schema: { type: array, maxItems: 3, items: { type: string } } }\n"
    "        - { name: kinds, in: query, x-comma-separated: true, schema: { type: array, items: { enum: [a, b, c] } } }\n"
    "        - { name: deep, in: query, schema: { type: boolean } }\n"
    "      responses:\n"
    "        '200': { description: ok, content: { application/json: { schema: { type: object, required: [things] } } } }\n"
    "        default: { $ref: '#/components/responses/Error' }\n"
    "    post:\n"
    "      operationId: createThing\n"
    "      x-role: operator\n"
    "      x-body-limit: 2000\n"
    "      parameters: [{ name: Idempotency-Key, in: header, schema: { type: string, maxLength: 20 } }]\n"
    "      requestBody:\n"
    "        required: true\n"
    "        content: { application/json: { schema: { $ref: '#/components/schemas/Thing' } } }\n"
    "      responses:\n"
    "        '201': { description: ok, content: { application/json: { schema: { type: object } } } }\n"
    "        default: { $ref: '#/components/responses/Error' }\n"
    "  /things/{thingId}:\n"
    "    parameters: [{ name: thingId, in: path, required: true, schema: { type: string, maxLength: 30 } }]\n"
    "    get:\n"
    "      operationId: getThing\n"
    "      x-role: viewer\n"
    "      responses:\n"
    "        '200':\n"
    "          description: ok\n"
    "          content:\n"
    "            application/json: { schema: { type: object, required: [id], properties: { id: { type: string } } } }\n"
    "            text/plain: { schema: { type: string } }\n"
    "        default: { $ref: '#/components/responses/Error' }\n"
    "    patch:\n"
    "      operationId: updateThing\n"
    "      x-role: operator\n"
    "      parameters: [{ name: If-Match, in: header, schema: { type: string } }]\n"
    "      requestBody:\n"
    "        content: { application/merge-patch+json: { schema: { $ref: '#/components/schemas/Thing/properties/container' } } }\n"
    "      responses:\n"
    "        '200': { description: ok, content: { application/json: { schema: { type: object } } } }\n"
    "        default: { $ref: '#/components/responses/Error' }\n"
    "    delete:\n"
    "      operationId: removeThing\n"
    "      x-role: admin\n"
    "      responses:\n"
    "        '204': { description: gone }\n"
    "        default: { $ref: '#/components/responses/Error' }\n"
    "  /things/latest:\n"
    "    get:\n"
    "      operationId: getLatest\n"
    "      x-role: viewer\n"
    "      responses:\n"
    "        '200': { description: ok, content: { application/json: { schema: { type: object } } } }\n"
    "        default: { $ref: '#/components/responses/Error' }\n"
    "  /shared:\n"
    "    get:\n"
    "      operationId: getShared\n"
    "      x-role: public\n"
    "      responses:\n"
    "        '200': { description: ok, content: { application/json: { schema: { type: object } } } }\n"
    "        default: { $ref: '#/components/responses/Error' }\n"
    "  /openapi.json:\n"
    "    get:\n"
    "      operationId: getOpenapi\n"
    "      x-role: public\n"
    "      responses: { '200': { description: ok, content: { application/json: { schema: { type: object } } } } }\n"
    "  /docs:\n"
    "    servers: [{ url: / }]\n"
    "    get:\n"
    "      operationId: getDocs\n"
    "      x-role: public\n"
    "      responses: { '200': { description: ok, content: { text/html: {} } } }\n"
    "components:\n"
    "  parameters:\n"
    "    Limit: { name: limit, in: query, schema: { type: integer, minimum: 1, maximum: 50, default: 7 } }\n"
    "  responses:\n"
    "    Error: { description: no, content: { application/json: { schema: { $ref: '#/components/schemas/ApiError' } } } }\n"
    "  schemas:\n"
    "    Thing:\n"
    "      type: object\n"
    "      additionalProperties: false\n"
    "      required: [name]\n"
    "      properties:\n"
    "        name: { type: string, pattern: '^[a-z-]+$' }\n"
    "        size: { type: integer, default: 3 }\n"
    "        container:\n"
    "          type: object\n"
    "          properties: { image: { type: string, minLength: 1 }, tag: { type: string, default: latest } }\n"
    "    ApiError:\n"
    "      type: object\n"
    "      required: [error]\n"
    "      properties:\n"
    "        error: { type: object, required: [code, message, timestamp, requestId, monitoring] }\n";

static int list_things(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct toy *t = room;
    t->calls++;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "things");
    jw_string(w, t->big);
    jw_key(w, "limit");
    jw_int(w, request_int(rq, "limit", -1));
    jw_key(w, "label");
    jw_json(w, request_param(rq, "label"));
    jw_key(w, "kinds");
    jw_json(w, request_param(rq, "kinds"));
    jw_key(w, "deep");
    jw_bool(w, request_flag(rq, "deep", false));
    jw_end(w);
    return 0;
}

static int create_thing(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct toy *t = room;
    t->calls++;
    if (str_eq(json_str(request_body(rq), "name"), "taken"))
        return error_set(e, ERR_CONFLICT, "There is a thing of this name.");
    request_audit(rq, "thing", json_str(request_body(rq), "name"), NULL, request_body(rq));
    reply_header(rp, "Location", "/v1/things/1");
    jw_json(reply_json(rp, 201), request_body(rq));
    return 0;
}

static int get_thing(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct toy *t = room;
    const char *id = request_str(rq, "thingId");
    t->calls++;
    if (str_eq(id, "missing"))
        return error_set(e, ERR_NOT_FOUND, "There is no thing \"%s\".", id);
    if (str_eq(id, "broken"))
        return error_set(e, ERR_INTERNAL, "the table things is on fire");
    if (str_eq(id, "silent"))
        return 0;
    if (str_eq(request_accepts(rq), "text/plain")) {
        _cleanup_blob_ struct blob *b = blob_new(id, strlen(id));
        reply_blob(rp, 200, "text/plain; charset=utf-8", b, NULL);
        return 0;
    }
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, t->break_reply ? "identity" : "id");
    jw_string(w, id);
    jw_end(w);
    reply_etag(rp, "\"v1,2\"");
    return 0;
}

static int update_thing(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct toy *t = room;
    int r = request_if_match(rq, "\"v1\"", e);
    if (r < 0)
        return r;
    t->calls++;
    jw_json(reply_json(rp, 200), request_body(rq));
    return 0;
}

static int remove_thing(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct toy *t = room;
    t->calls++;
    reply_empty(rp, 204);
    return 0;
}

static int get_latest(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "latest");
    jw_bool(w, true);
    jw_end(w);
    return 0;
}

static int get_shared(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct toy *t = room;
    reply_blob(rp, 200, "application/json", t->shared, "\"shared-1\"");
    return 0;
}

const struct api_operation toy_rows[] = {
    { "listThings", list_things },   { "createThing", create_thing }, { "getThing", get_thing },
    { "updateThing", update_thing }, { "removeThing", remove_thing }, { "getLatest", get_latest },
    { "getShared", get_shared },
};
const size_t toy_row_count = ARRAY_LEN(toy_rows);

static int authenticate(void *ctx, struct request *rq, struct actor *ret, struct error *e)
{
    struct toy *t = ctx;
    if (str_eq(t->actor_role, "bad"))
        return error_set(e, ERR_UNAUTHENTICATED, "This key has expired.");
    if (*t->actor_role)
        return role_parse(t->actor_role, &ret->role);
    return 0;
}

static int rate_limit(void *ctx, struct request *rq, const struct actor *actor, struct reply *rp, struct error *e)
{
    struct toy *t = ctx;
    reply_header(rp, "RateLimit-Limit", "100");
    if (!t->limited)
        return 0;
    int r = error_set(e, ERR_RATE_LIMITED, "Too many requests.");
    e->retry_after_s = 9;
    return r;
}

static void audit(void *ctx, struct request *rq, const struct actor *actor, int status, const struct error *e)
{
    struct toy *t = ctx;
    t->audits++;
    t->audit_status = status;
    str_copy(t->audited, sizeof t->audited, request_audit_info(rq)->entity_id);
}

static int claim(void *ctx, struct request *rq, const struct actor *actor, struct reply *rp, struct error *e)
{
    struct toy *t = ctx;
    t->claims++;
    if (!t->stored)
        return 0;
    _cleanup_blob_ struct blob *b = blob_new(t->stored_body, strlen(t->stored_body));
    reply_blob(rp, 201, "application/json", b, NULL);
    return 1;
}

static void store(void *ctx, struct request *rq, const struct actor *actor, int status, struct blob *body)
{
    struct toy *t = ctx;
    t->stored = status;
    str_copy(t->stored_body, sizeof t->stored_body, body ? body->data : "");
}

struct api_options toy_options(struct toy *t)
{
    return (struct api_options){
        .contract_yaml = toy_contract,
        .contract_len = strlen(toy_contract),
        .hooks = { t, authenticate, rate_limit, audit, claim, store },
        .validate_replies = true,
        .cors_domain = "example.org",
    };
}

struct api *toy_api(struct toy *t, const struct api_options *o, struct error *e)
{
    struct api *a = NULL;
    if (api_new(o, &a, e) < 0)
        return NULL;
    if (api_add(a, toy_rows, toy_row_count, t, e) == 0 &&
        api_add(a, api_builtin_operations, API_BUILTIN_COUNT, a, e) == 0 && api_seal(a, e) == 0)
        return a;
    api_free(a);
    return NULL;
}
