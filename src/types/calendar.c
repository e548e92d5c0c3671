/* The calendar: days since 1970-01-01 to year, month, day and back, and intervals added to points
 * in time.
 *
 * Both directions count in eras of 400 years (146,097 days) with years that begin in March, so that
 * the leap day is the last day of its year and months have a closed form. Proleptic Gregorian;
 * values stay in years 0001 to 9999. */
#include "types/internal.h"

#define DAYS_PER_ERA 146097
#define EPOCH_FROM_MARCH_0000 719468 /* days from 0000-03-01 to 1970-01-01 */

int32_t kl_date_from_ymd(int year, int month, int day) {
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = kl_types__floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int32_t)(era * DAYS_PER_ERA + day_of_era - EPOCH_FROM_MARCH_0000);
}

void kl_date_to_ymd(int32_t days, int *year, int *month, int *day) {
    int64_t z = (int64_t)days + EPOCH_FROM_MARCH_0000;
    int64_t era = kl_types__floor_div(z, DAYS_PER_ERA);
    int64_t doe = z - era * DAYS_PER_ERA;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t from_march = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * from_march + 2) / 5 + 1);
    *month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

static int days_in_month(int year, int month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

bool kl_types__date_valid(int year, int month, int day) {
    return year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 &&
           day <= days_in_month(year, month);
}

bool kl_types__temporal_fits(uint8_t id, int64_t v) {
    switch (id) {
    case KL_T_DATE:
        return v >= KL_DATE_MIN && v <= KL_DATE_MAX;
    case KL_T_TIME:
        return v >= 0 && v <= KL_US_PER_DAY;
    default:
        return v >= KL_TIMESTAMP_MIN && v <= KL_TIMESTAMP_MAX;
    }
}

/* Moves by months and keeps the day, or takes the month's last when it has no such day. */
static bool add_months(int64_t *days, int32_t months) {
    int y, m, d;
    kl_date_to_ymd((int32_t)*days, &y, &m, &d);
    int64_t count = (int64_t)y * 12 + (m - 1) + months;
    int64_t year = kl_types__floor_div(count, 12);
    if (year < 1 || year > 9999) {
        return false;
    }
    m = (int)(count - year * 12) + 1;
    *days = kl_date_from_ymd((int)year, m, KL_MIN(d, days_in_month((int)year, m)));
    return true;
}

enum kl_rc kl_timestamp_add(int64_t us, struct kl_interval iv, int64_t *ret) {
    int64_t days = kl_types__floor_div(us, KL_US_PER_DAY);
    int64_t of_day = kl_types__of_day(us), sum;
    if (!kl_types__temporal_fits(KL_T_TIMESTAMP, us) ||
        (iv.months != 0 && !add_months(&days, iv.months))) {
        return KL_E_TYPE;
    }
    days += iv.days;
    if (days < KL_DATE_MIN || days > KL_DATE_MAX) {
        return KL_E_TYPE;
    }
    if (__builtin_add_overflow(days * KL_US_PER_DAY + of_day, iv.us, &sum) ||
        !kl_types__temporal_fits(KL_T_TIMESTAMP, sum)) {
        return KL_E_TYPE;
    }
    *ret = sum;
    return KL_OK;
}
