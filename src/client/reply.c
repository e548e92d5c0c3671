/* The answer to a statement, checked once so that whoever prints it can trust its shape: `results`
 * is an array of objects; where a result has rows, `schema` is an array of objects with a name,
 * `rows` an array of arrays as long as the schema. Pure; any thread. */
#include "client/client.h"

void kl_reply_deinit(struct kl_reply *reply) {
    json_decref(reply->root);
    *reply = (struct kl_reply){0};
}

static bool schema_ok(const json_t *schema) {
    size_t i;
    json_t *column;
    json_array_foreach(schema, i, column) {
        if (!json_is_string(json_object_get(column, "name"))) {
            return false;
        }
    }
    return json_is_array(schema);
}

static bool result_ok(const json_t *result) {
    const json_t *schema = json_object_get(result, "schema"),
                 *rows = json_object_get(result, "rows");
    if (!json_is_object(result)) {
        return false;
    }
    if (schema == NULL && rows == NULL) {
        return true;
    }
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        if (!json_is_array(row) || json_array_size(row) != json_array_size(schema)) {
            return false;
        }
    }
    return schema_ok(schema) && json_is_array(rows);
}

static bool results_ok(const json_t *results) {
    size_t i;
    json_t *result;
    json_array_foreach(results, i, result) {
        if (!result_ok(result)) {
            return false;
        }
    }
    return json_is_array(results);
}

/* The envelope of SQL errors, or of the layers before it: {"error": "CODE", "message": "text"}. */
static bool take_error(struct kl_reply *reply) {
    const json_t *error = json_object_get(reply->root, "error");
    if (error == NULL || json_is_null(error)) {
        return false;
    }
    const json_t *from = json_is_object(error) ? error : reply->root;
    const char *code =
        json_string_value(json_is_object(error) ? json_object_get(error, "code") : error);
    const char *message = json_string_value(json_object_get(from, "message"));
    reply->failed = true;
    reply->code = code ? code : "UNKNOWN";
    reply->message = message ? message : "the server gave no reason";
    reply->hint = json_string_value(json_object_get(from, "hint"));
    json_int_t position = json_integer_value(json_object_get(from, "position"));
    reply->position = position > 0 && position <= INT32_MAX ? (int)position : 0;
    return true;
}

enum kl_rc kl_reply_parse(
    struct kl_slice body, int http_status, struct kl_reply *ret, struct kl_err *err) {
    json_error_t where;
    struct kl_reply reply = {.http_status = http_status};
    reply.root = json_loadb(body.ptr ? body.ptr : "", body.len, JSON_ALLOW_NUL, &where);
    if (!json_is_object(reply.root)) {
        json_decref(reply.root);
        if (http_status >= 400) {
            return kl_fail(err, KL_E_IO, "the server answered with HTTP status %d", http_status);
        }
        return kl_fail(err, KL_E_CORRUPT,
            "the answer is not the JSON that a KalamDB server sends: %s", where.text);
    }
    reply.took_ms = json_number_value(json_object_get(reply.root, "took"));
    reply.results = json_object_get(reply.root, "results");
    const char *status = json_string_value(json_object_get(reply.root, "status"));
    bool failed = take_error(&reply);
    if (reply.results == NULL && failed) {
        json_object_set_new(reply.root, "results", json_array());
        reply.results = json_object_get(reply.root, "results");
    }
    bool ok =
        results_ok(reply.results) && (failed || (status != NULL && strcmp(status, "success") == 0));
    if (!ok) {
        json_decref(reply.root);
        return kl_fail(err, KL_E_CORRUPT, "the answer does not have the shape of a SQL result");
    }
    *ret = reply;
    return KL_OK;
}
