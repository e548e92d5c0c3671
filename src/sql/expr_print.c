/* An expression as SQL, for EXPLAIN and messages: operators in parentheses, casts as ::type,
 * columns by the names given, else as their slot (#0), parameters as $1. */
#include "sql/expr_internal.h"

struct names {
    const struct kl_slice *slots;
    size_t n;
};
static void print(const struct kl_expr *e, const struct names *s, struct kl_buf *out);

static void print_list(const struct kl_expr *e, const struct names *s, uint32_t first, uint32_t end,
    const char *between, struct kl_buf *out) {
    for (uint32_t i = first; i < end; i++) {
        if (i > first) {
            kl_buf_puts(out, between);
        }
        print(e->args[i], s, out);
    }
}

static void print_op(const struct kl_expr *e, const struct names *s, struct kl_buf *out) {
    if (e->n_args == 1) {
        kl_buf_puts(out, kl_expr__op_text(e->op));
        print_list(e, s, 0, 1, "", out);
        return;
    }
    print(e->args[0], s, out);
    kl_buf_printf(out, " %s ", kl_expr__op_text(e->op));
    print(e->args[1], s, out);
    if (e->n_args > 2) {
        kl_buf_puts(out, " ESCAPE ");
        print(e->args[2], s, out);
    }
}

static void print_logic(const struct kl_expr *e, const struct names *s, struct kl_buf *out) {
    if (e->op == KL_EXPR_NOT) {
        kl_buf_puts(out, "NOT ");
    }
    print_list(e, s, 0, e->n_args, e->op == KL_EXPR_OR ? " OR " : " AND ", out);
}

static void print_is(const struct kl_expr *e, const struct names *s, struct kl_buf *out) {
    static const char *const names[] = {
        "NULL", "NOT NULL", "TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN"};
    print(e->args[0], s, out);
    kl_buf_printf(out, " IS %s", names[e->op]);
}

static void print_case(const struct kl_expr *e, const struct names *s, struct kl_buf *out) {
    kl_buf_puts(out, "CASE");
    uint32_t first = e->has_operand, end = e->n_args - e->has_else;
    if (first) {
        kl_buf_putc(out, ' ');
        print(e->args[0], s, out);
    }
    for (uint32_t i = first; i < end; i += 2) {
        kl_buf_puts(out, " WHEN ");
        print(e->args[i], s, out);
        kl_buf_puts(out, " THEN ");
        print(e->args[i + 1], s, out);
    }
    if (e->has_else) {
        kl_buf_puts(out, " ELSE ");
        print(e->args[end], s, out);
    }
    kl_buf_puts(out, " END");
}

static void print_in(const struct kl_expr *e, const struct names *s, struct kl_buf *out) {
    print(e->args[0], s, out);
    kl_buf_puts(out, e->negate ? " NOT IN (" : " IN (");
    print_list(e, s, 1, e->n_args, ", ", out);
    kl_buf_putc(out, ')');
}

static void print_call(const struct kl_expr *e, const struct names *s, struct kl_buf *out) {
    char first = e->func->name[0];
    if (first == '-' || first == '?') {
        kl_buf_putc(out, '(');
        print(e->args[0], s, out);
        kl_buf_printf(out, " %s ", e->func->name);
        print(e->args[1], s, out);
        kl_buf_putc(out, ')');
        return;
    }
    kl_buf_printf(out, "%s(", e->func->name);
    print_list(e, s, 0, e->n_args, ", ", out);
    kl_buf_putc(out, ')');
}

static void print(const struct kl_expr *e, const struct names *s, struct kl_buf *out) {
    switch ((enum kl_expr_kind)e->kind) {
    case KL_EXPR_KIND_CONST:
        kl_val_to_sql(&e->value, out);
        return;
    case KL_EXPR_KIND_PARAM:
        kl_buf_printf(out, "$%u", e->index + 1);
        return;
    case KL_EXPR_KIND_SLOT:
        if (e->index < s->n) {
            kl_buf_slice(out, s->slots[e->index]);
        } else {
            kl_buf_printf(out, "#%u", e->index);
        }
        return;
    case KL_EXPR_KIND_CALL:
        print_call(e, s, out);
        return;
    case KL_EXPR_KIND_CAST:
        print(e->args[0], s, out);
        kl_buf_puts(out, "::");
        kl_type_sql_name(e->type, out);
        return;
    default:
        break;
    }
    kl_buf_putc(out, '(');
    switch ((enum kl_expr_kind)e->kind) {
    case KL_EXPR_KIND_LOGIC:
        print_logic(e, s, out);
        break;
    case KL_EXPR_KIND_IS:
        print_is(e, s, out);
        break;
    case KL_EXPR_KIND_IN:
        print_in(e, s, out);
        break;
    case KL_EXPR_KIND_CASE:
        print_case(e, s, out);
        break;
    case KL_EXPR_KIND_DISTINCT:
        print_list(e, s, 0, 2, e->negate ? " IS NOT DISTINCT FROM " : " IS DISTINCT FROM ", out);
        break;
    case KL_EXPR_KIND_BETWEEN:
        print(e->args[0], s, out);
        kl_buf_puts(out, e->negate ? " NOT BETWEEN " : " BETWEEN ");
        print_list(e, s, 1, 3, " AND ", out);
        break;
    default:
        print_op(e, s, out);
        break;
    }
    kl_buf_putc(out, ')');
}

void kl_expr_print(const struct kl_expr *e, struct kl_buf *out) {
    static const struct names none;
    print(e, &none, out);
}

void kl_expr_print_named(
    const struct kl_expr *e, const struct kl_slice *slots, size_t n, struct kl_buf *out) {
    struct names s = {slots, n};
    print(e, &s, out);
}
