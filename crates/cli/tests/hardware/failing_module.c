/* A PKCS#11 module that is another one, until it has signed a number of times: then its token is gone, or signs
 * garbage. Or its token has one try left, or none. The other one, the number and the accident are in the environment. */

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ck_ulong;
typedef ck_ulong (*function)(void);
typedef ck_ulong (*get_list)(void **);
typedef ck_ulong (*sign_function)(ck_ulong, unsigned char *, ck_ulong, unsigned char *, ck_ulong *);

/* PKCS#11 version 2.40: CK_FUNCTION_LIST is a version and 68 functions, of which C_Sign is the 44th. */
struct list {
    unsigned char version[2];
    function functions[68];
};
struct token_info {
    unsigned char text[96];
    ck_ulong flags;
};
typedef ck_ulong (*info_function)(ck_ulong, struct token_info *);
enum { C_GET_TOKEN_INFO = 6, CKF_USER_PIN_FINAL_TRY = 0x20000, CKF_USER_PIN_LOCKED = 0x40000 };
enum { C_SIGN = 43, CKR_GENERAL_ERROR = 5, CKR_DEVICE_REMOVED = 0x32 };

static struct list ours;
static sign_function real_sign;
static info_function real_info;
static int left;

static ck_ulong failing_info(ck_ulong slot, struct token_info *info) {
    const char *accident = getenv("TEST_ACCIDENT");
    ck_ulong answer = real_info(slot, info);
    if (answer == 0 && strcmp(accident, "last-try") == 0)
        info->flags |= CKF_USER_PIN_FINAL_TRY;
    if (answer == 0 && strcmp(accident, "locked") == 0)
        info->flags |= CKF_USER_PIN_LOCKED;
    return answer;
}

static ck_ulong failing_sign(ck_ulong session, unsigned char *data, ck_ulong length, unsigned char *signature,
                             ck_ulong *signature_length) {
    const char *accident = getenv("TEST_ACCIDENT");
    ck_ulong answer;
    int is_real = signature != NULL;
    if (left <= 0 && strcmp(accident, "removed") == 0)
        return CKR_DEVICE_REMOVED;
    answer = real_sign(session, data, length, signature, signature_length);
    if (left <= 0 && is_real && answer == 0)
        signature[*signature_length - 1] ^= 1;
    if (is_real && answer == 0)
        left--;
    return answer;
}

ck_ulong C_GetFunctionList(void **list) {
    void *module = dlopen(getenv("TEST_MODULE"), RTLD_NOW | RTLD_LOCAL);
    void *theirs = NULL;
    get_list get = module ? (get_list)dlsym(module, "C_GetFunctionList") : NULL;
    if (!get || get(&theirs) != 0)
        return CKR_GENERAL_ERROR;
    memcpy(&ours, theirs, sizeof ours);
    real_sign = (sign_function)ours.functions[C_SIGN];
    ours.functions[C_SIGN] = (function)failing_sign;
    real_info = (info_function)ours.functions[C_GET_TOKEN_INFO];
    ours.functions[C_GET_TOKEN_INFO] = (function)failing_info;
    left = atoi(getenv("TEST_SIGNATURES"));
    *list = &ours;
    return 0;
}
