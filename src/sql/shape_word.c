/* The words that matter to a shape. See shape_internal.h. */
#include "sql/shape_internal.h"

/* By first letter; a row ends with an empty word. */
static const struct {
    char text[18];
    uint8_t word;
} words[26][7] = {
    ['a' - 'a'] = {{"and", KL_W_VALUE_NEXT}, {"all", KL_W_VALUE_NEXT}, {"any", KL_W_VALUE_NEXT},
        {"as", KL_W_AS}},
    ['b' - 'a'] = {{"by", KL_W_BY}, {"between", KL_W_VALUE_NEXT}},
    ['c' - 'a'] = {{"case", KL_W_VALUE_NEXT}, {"current_user", KL_W_NILADIC},
        {"current_timestamp", KL_W_NILADIC}, {"current_date", KL_W_NILADIC},
        {"current_role", KL_W_NILADIC}, {"current_time", KL_W_NILADIC}},
    ['d' - 'a'] = {{"distinct", KL_W_DISTINCT}},
    ['e' - 'a'] = {{"else", KL_W_VALUE_NEXT}, {"escape", KL_W_VALUE_NEXT}, {"except", KL_W_SETOP}},
    ['f' - 'a'] = {{"from", KL_W_VALUE_NEXT}, {"for", KL_W_VALUE_NEXT}, {"false", KL_W_FALSE},
        {"fetch", KL_W_LIMIT}},
    ['g' - 'a'] = {{"group", KL_W_GROUP}},
    ['h' - 'a'] = {{"having", KL_W_HAVING}},
    ['i' - 'a'] = {{"ilike", KL_W_VALUE_NEXT}, {"intersect", KL_W_SETOP}},
    ['l' - 'a'] = {{"like", KL_W_VALUE_NEXT}, {"limit", KL_W_LIMIT}},
    ['n' - 'a'] = {{"not", KL_W_VALUE_NEXT}, {"null", KL_W_NULL}},
    ['o' - 'a'] = {{"or", KL_W_VALUE_NEXT}, {"on", KL_W_WHERE}, {"order", KL_W_ORDER},
        {"offset", KL_W_LIMIT}},
    ['p' - 'a'] = {{"placing", KL_W_VALUE_NEXT}},
    ['r' - 'a'] = {{"returning", KL_W_HAVING}},
    ['s' - 'a'] = {{"select", KL_W_SELECT}, {"session_user", KL_W_NILADIC},
        {"symmetric", KL_W_VALUE_NEXT}},
    ['t' - 'a'] = {{"then", KL_W_VALUE_NEXT}, {"to", KL_W_VALUE_NEXT}, {"true", KL_W_TRUE}},
    ['u' - 'a'] = {{"union", KL_W_SETOP}},
    ['v' - 'a'] = {{"values", KL_W_VALUES}},
    ['w' - 'a'] = {{"when", KL_W_VALUE_NEXT}, {"where", KL_W_WHERE}, {"window", KL_W_HAVING}},
};

enum kl_shape_word kl_sql__shape_word(struct kl_slice lower) {
    if (lower.len == 0 || lower.len > 17 || lower.ptr[0] < 'a' || lower.ptr[0] > 'z') {
        return KL_W_NONE;
    }
    size_t row = (size_t)(lower.ptr[0] - 'a');
    for (size_t i = 0; words[row][i].text[0]; i++) {
        const char *text = words[row][i].text;
        if (text[lower.len] == '\0' && memcmp(text, lower.ptr, lower.len) == 0) {
            return (enum kl_shape_word)words[row][i].word;
        }
    }
    return KL_W_NONE;
}
