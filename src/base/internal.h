/* Shared inside base/ only. */
#ifndef KL_BASE_INTERNAL_H
#define KL_BASE_INTERNAL_H

#include "base/slice.h"
#include <locale.h>

/* The length of s without a character at its end that was cut in the middle. */
size_t kl_base__whole_chars(struct kl_slice s);
/* The locale in which numbers look as they do in SQL and JSON, whatever the program has set. */
locale_t kl_base__c_locale(void);

#endif
