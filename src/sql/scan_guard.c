/* The guard in front of PostgreSQL's parser. See kl_sql__check_depth in scan.h.
 *
 * The parser itself keeps its stack on the heap, but its tree is then packed, unpacked and freed
 * recursively, at one to three kilobytes of stack a level. So the depth of the tree is bounded from
 * the tokens alone, before it exists: open brackets and CASEs, plus in each of them the operators
 * since the last place where an operand starts afresh. The estimate is never below the real depth
 * (up to a small factor for the nodes of one construct); chains of AND and OR are flat in the tree
 * and cost nothing. */
#include "sql/scan.h"

static bool one_of(struct kl_slice w, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (kl_slice_ieq_str(w, list[i])) {
            return true;
        }
    }
    return false;
}

/* Reserved words after which an operand starts afresh beside what came before, not below it. */
static const char *const resets[] = {
    "and", "or", "when", "then", "else", "from", "where", "limit", "offset", "having"};
/* Words that put what came before, or what comes after, below themselves. */
static const char *const chains[] = {"not", "is", "like", "ilike", "similar", "between", "in",
    "collate", "at", "isnull", "notnull", "operator", "overlaps", "union", "intersect", "except",
    "join", "select", "escape"};
static const char *const joins[] = {"union", "intersect", "except", "join"};

struct guard {
    struct guard_level {
        uint16_t chain,
            betweens; /* operators since the last fresh operand; BETWEENs that wait for their AND */
        bool is_case;
    } levels[KL_SQL_MAX_DEPTH + 1]; /* one per open bracket or CASE */
    size_t level, sum,
        joined; /* joined: set operations and joins, which lean on each other across everything */
    bool after_dot, after_distinct;
};

static void guard_reset(struct guard *g) {
    g->sum -= g->levels[g->level].chain;
    g->levels[g->level].chain = 0;
}

static void guard_chain(struct guard *g) {
    g->levels[g->level].chain++;
    g->sum++;
}

static void guard_open(struct guard *g, bool is_case) {
    if (g->level < KL_SQL_MAX_DEPTH) {
        g->levels[++g->level] = (struct guard_level){.is_case = is_case};
    } else {
        guard_chain(g);
    }
}

static void guard_close(struct guard *g) {
    if (g->level > 0) {
        guard_reset(g);
        g->level--;
    }
}

static void guard_word(struct guard *g, struct kl_slice w) {
    struct guard_level *at = &g->levels[g->level];
    if (g->after_dot) {
        return; /* part of a name, whatever it spells */
    }
    if (kl_slice_ieq_str(w, "case")) {
        guard_open(g, true);
    } else if (kl_slice_ieq_str(w, "end")) {
        if (at->is_case) {
            guard_close(g);
        }
    } else if (one_of(w, chains, KL_LEN(chains))) {
        g->joined += one_of(w, joins, KL_LEN(joins));
        at->betweens += kl_slice_ieq_str(w, "between");
        guard_chain(g);
    } else if (one_of(w, resets, KL_LEN(resets))) {
        if (at->betweens > 0 && kl_slice_ieq_str(w, "and")) {
            at->betweens--; /* x BETWEEN y AND z: z may hold all that follows */
        } else if (!(g->after_distinct && kl_slice_ieq_str(w, "from"))) {
            guard_reset(g);
        }
    }
}

enum kl_rc kl_sql__check_depth(struct kl_slice text, struct kl_err *err) {
    struct kl_scan s;
    struct kl_tok t;
    struct guard g = {0};
    kl_sql__scan_init(&s, text);
    for (kl_sql__scan(&s, &t); t.kind != KL_TOK_END; kl_sql__scan(&s, &t)) {
        if (t.kind == KL_TOK_WORD) {
            guard_word(&g, t.text);
        } else if (t.punct == '(' || t.punct == '[') {
            guard_open(&g, false);
        } else if (t.punct == ')' || t.punct == ']') {
            while (g.level > 0 && g.levels[g.level].is_case) {
                guard_close(&g);
            }
            guard_close(&g);
        } else if (t.punct == ',') {
            guard_reset(&g);
        } else if (t.kind == KL_TOK_OP) {
            guard_chain(&g);
        }
        g.after_dot = t.punct == '.';
        g.after_distinct = t.kind == KL_TOK_WORD && kl_slice_ieq_str(t.text, "distinct");
        if (g.level + g.sum + g.joined > KL_SQL_MAX_DEPTH) {
            return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__tok_pos(&s, &t),
                "statement is nested too deeply (at most %d levels)", KL_SQL_MAX_DEPTH);
        }
    }
    return KL_OK;
}
