/* The two commands of a decision, packed, and their replies, read: the compiled side of service/store/reading.py and
   service/store/replies.py.

   The twins there say what everything means. What is usual is done here, to the same bytes and values; for the rest the
   twin is called before anything is made, and its result or error is passed on. Nothing is kept between two calls. */

#include "../core/_structs.h"
#include <stdint.h>
#include <string.h>

#define BUCKETS 1024
#define DIGITS 3 /* of a bucket, hexadecimal */
#define ENTROPY_BYTES 12
#define ID_CHARACTERS 26

typedef struct { const char *at; Py_ssize_t size; } Text;

/* ------------------------------------------------------------------------------------------------------------ texts */

/* See the UTF-8 of a text, which lives as long as the text; 0 where it is none, or UTF-8 cannot hold it. */
static int see_text(PyObject *from, Text *found)
{
    if (!PyUnicode_CheckExact(from))
        return 0;
    found->at = PyUnicode_AsUTF8AndSize(from, &found->size);
    if (found->at != NULL)
        return 1;
    PyErr_Clear(); /* the twin raises it again */
    return 0;
}

static int see_bytes(PyObject *from, Text *found)
{
    if (!PyBytes_CheckExact(from))
        return 0;
    *found = (Text){PyBytes_AS_STRING(from), PyBytes_GET_SIZE(from)};
    return 1;
}

static int see_whole(PyObject *from, long long *found)
{
    int overflow;
    if (!PyLong_CheckExact(from))
        return 0;
    *found = PyLong_AsLongLongAndOverflow(from, &overflow);
    return overflow == 0;
}

static int equal(Text one, Text other)
{
    return one.size == other.size && memcmp(one.at, other.at, (size_t)one.size) == 0;
}

static int ascii(Text from)
{
    unsigned char all = 0;
    for (Py_ssize_t i = 0; i < from.size; i++)
        all |= (unsigned char)from.at[i];
    return all < 0x80;
}

/* ---------------------------------------------------------------------------------------------------------- buckets */

/* Write the digits of a customer's bucket: of the CRC-32 that zlib computes, by half bytes: a small table stays near. */
static void bucket_of(Text customer, char digits[DIGITS])
{
    static const uint32_t half[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    static const char hex[] = "0123456789abcdef";
    uint32_t sum = 0xffffffff;
    for (Py_ssize_t i = 0; i < customer.size; i++) {
        sum ^= (unsigned char)customer.at[i];
        sum = (sum >> 4) ^ half[sum & 15];
        sum = (sum >> 4) ^ half[sum & 15];
    }
    sum = ~sum % BUCKETS;
    digits[0] = hex[sum >> 8];
    digits[1] = hex[sum >> 4 & 15];
    digits[2] = hex[sum & 15];
}

#define MOST_PLACES 4

/* What is the same for all buckets but for their digits, in whose places `@@@` stands. */
typedef struct {
    Text text;
    int n;
    Py_ssize_t places[MOST_PLACES];
} Template;

static int template_of(PyObject *from, Template *made)
{
    if (!see_bytes(from, &made->text)) {
        PyErr_SetString(PyExc_TypeError, "a template is bytes");
        return -1;
    }
    made->n = 0;
    for (Py_ssize_t at = 0; at + DIGITS <= made->text.size; at++) {
        if (memcmp(made->text.at + at, "@@@", DIGITS) != 0)
            continue;
        if (made->n == MOST_PLACES) {
            PyErr_SetString(PyExc_ValueError, "a template names the bucket too often");
            return -1;
        }
        made->places[made->n++] = at;
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------- writing */

#define OWN_BYTES 3072

/* Bytes that are put together: on the stack as long as they fit. `failed` once there is no memory. */
typedef struct {
    char *base;
    Py_ssize_t size, most;
    int failed;
    char own[OWN_BYTES];
} Out;

static void out_begin(Out *out)
{
    out->base = out->own;
    out->size = 0;
    out->most = OWN_BYTES;
    out->failed = 0;
}

static void out_end(Out *out)
{
    if (out->base != out->own)
        PyMem_Free(out->base);
}

/* Make room for n more bytes; NULL where there is no memory. */
static char *room(Out *out, Py_ssize_t n)
{
    if (out->failed)
        return NULL;
    if (n > out->most - out->size) {
        Py_ssize_t most = n < PY_SSIZE_T_MAX / 4 && out->size < PY_SSIZE_T_MAX / 4 ? 2 * (out->size + n) : -1;
        char *base = most < 0 ? NULL : out->base == out->own ? PyMem_Malloc(most) : PyMem_Realloc(out->base, most);
        if (base == NULL) {
            out->failed = 1;
            return NULL;
        }
        if (out->base == out->own)
            memcpy(base, out->own, (size_t)out->size);
        out->base = base;
        out->most = most;
    }
    char *at = out->base + out->size;
    out->size += n;
    return at;
}

static void put(Out *out, Text text)
{
    char *at = room(out, text.size);
    if (at != NULL)
        memcpy(at, text.at, (size_t)text.size);
}

static void put_word(Out *out, const char *word)
{
    put(out, (Text){word, (Py_ssize_t)strlen(word)});
}

static void put_template(Out *out, const Template *one, const char digits[DIGITS])
{
    char *at = room(out, one->text.size);
    if (at == NULL)
        return;
    memcpy(at, one->text.at, (size_t)one->text.size);
    for (int i = 0; i < one->n; i++)
        memcpy(at + one->places[i], digits, DIGITS);
}

/* Put a sign, a number and the end of the line: how a command (*) and each of its parts ($) begins. */
static void put_head(Out *out, char sign, Py_ssize_t number)
{
    char digits[24];
    int at = sizeof digits;
    digits[--at] = '\n';
    digits[--at] = '\r';
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    digits[--at] = sign;
    put(out, (Text){digits + at, (Py_ssize_t)sizeof digits - at});
}

static void put_bulk(Out *out, Text part)
{
    put_head(out, '$', part.size);
    put(out, part);
    put_word(out, "\r\n");
}

/* Put a key that ends with a name. */
static void put_key(Out *out, const Template *begin, const char digits[DIGITS], Text name)
{
    put_head(out, '$', begin->text.size + name.size);
    put_template(out, begin, digits);
    put(out, name);
    put_word(out, "\r\n");
}

static PyObject *out_bytes(const Out *out)
{
    return out->failed ? PyErr_NoMemory() : PyBytes_FromStringAndSize(out->base, out->size);
}

/* ---------------------------------------------------------------------------------------------------- packing values */

/* MessagePack, each value in its shortest form, as msgspec writes it. */

static void pack_head(Out *out, int head, uint64_t value, int bytes)
{
    char *at = room(out, 1 + bytes);
    if (at == NULL)
        return;
    *at = (char)head;
    for (int i = bytes; i > 0; i--, value >>= 8)
        at[i] = (char)value;
}

static void pack_whole(Out *out, long long value)
{
    if (value >= 0) {
        uint64_t bits = (uint64_t)value;
        if (bits < 128)
            pack_head(out, (int)bits, 0, 0);
        else if (bits <= UINT8_MAX)
            pack_head(out, 0xcc, bits, 1);
        else if (bits <= UINT16_MAX)
            pack_head(out, 0xcd, bits, 2);
        else if (bits <= UINT32_MAX)
            pack_head(out, 0xce, bits, 4);
        else
            pack_head(out, 0xcf, bits, 8);
    } else if (value >= -32)
        pack_head(out, (int)(value & 0xff), 0, 0);
    else if (value >= INT8_MIN)
        pack_head(out, 0xd0, (uint64_t)value, 1);
    else if (value >= INT16_MIN)
        pack_head(out, 0xd1, (uint64_t)value, 2);
    else if (value >= INT32_MIN)
        pack_head(out, 0xd2, (uint64_t)value, 4);
    else
        pack_head(out, 0xd3, (uint64_t)value, 8);
}

/* Pack a text; 0 where it is longer than can be said. */
static int pack_text(Out *out, Text text)
{
    uint64_t size = (uint64_t)text.size;
    if (size < 32)
        pack_head(out, 0xa0 | (int)size, 0, 0);
    else if (size <= UINT8_MAX)
        pack_head(out, 0xd9, size, 1);
    else if (size <= UINT16_MAX)
        pack_head(out, 0xda, size, 2);
    else if (size <= UINT32_MAX)
        pack_head(out, 0xdb, size, 4);
    else
        return 0;
    put(out, text);
    return 1;
}

static int pack_array(Out *out, Py_ssize_t n)
{
    if (n < 16)
        pack_head(out, 0x90 | (int)n, 0, 0);
    else if (n <= UINT16_MAX)
        pack_head(out, 0xdc, (uint64_t)n, 2);
    else
        return 0;
    return 1;
}

static int pack_object_text(Out *out, PyObject *from)
{
    Text text;
    return see_text(from, &text) && pack_text(out, text);
}

static int pack_object_whole(Out *out, PyObject *from)
{
    long long value;
    if (!see_whole(from, &value))
        return 0;
    pack_whole(out, value);
    return 1;
}

#define pack_false(out) pack_head(out, 0xc2, 0, 0)

/* --------------------------------------------------------------------------------------------------- reading values */

typedef struct { const unsigned char *at, *end; } Pack;

static Pack pack_of(Text text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    return (Pack){at, at + text.size};
}

static int read_bits(Pack *pack, int bytes, uint64_t *found)
{
    if (pack->end - pack->at < bytes)
        return 0;
    *found = 0;
    while (bytes-- > 0)
        *found = *found << 8 | *pack->at++;
    return 1;
}

/* Read the head of a value that has a size: a short form of `most` + 1 sizes from `few` on, or one of three longer. */
static int read_size(Pack *pack, int few, int most, const int longer[3], uint64_t *size)
{
    if (pack->at == pack->end)
        return 0;
    int head = *pack->at++;
    if (head >= few && head <= few + most) {
        *size = (uint64_t)(head - few);
        return 1;
    }
    for (int i = 0; i < 3; i++)
        if (head == longer[i])
            return read_bits(pack, 1 << i, size);
    return 0;
}

static int read_text(Pack *pack, Text *found)
{
    static const int longer[] = {0xd9, 0xda, 0xdb};
    uint64_t size;
    if (!read_size(pack, 0xa0, 31, longer, &size) || size > (uint64_t)(pack->end - pack->at))
        return 0;
    *found = (Text){(const char *)pack->at, (Py_ssize_t)size};
    pack->at += size;
    return 1;
}

/* Every item takes a byte at least, so that no more are promised than there can be. */
static int read_array(Pack *pack, Py_ssize_t *n)
{
    static const int longer[] = {-1, 0xdc, 0xdd};
    uint64_t size;
    if (!read_size(pack, 0x90, 15, longer, &size) || size > (uint64_t)(pack->end - pack->at))
        return 0;
    *n = (Py_ssize_t)size;
    return 1;
}

static int read_map(Pack *pack, Py_ssize_t *n)
{
    static const int longer[] = {-1, 0xde, 0xdf};
    uint64_t size;
    if (!read_size(pack, 0x80, 15, longer, &size) || size > (uint64_t)(pack->end - pack->at))
        return 0;
    *n = (Py_ssize_t)size;
    return 1;
}

static PyObject *read_signed(Pack *pack, int bytes)
{
    uint64_t bits;
    if (!read_bits(pack, bytes, &bits))
        return NULL;
    int64_t value = bytes == 1 ? (int8_t)bits : bytes == 2 ? (int16_t)bits : bytes == 4 ? (int32_t)bits : (int64_t)bits;
    return PyLong_FromLongLong(value);
}

/* Read a whole number; NULL for anything else. */
static PyObject *read_whole(Pack *pack)
{
    uint64_t bits;
    if (pack->at == pack->end)
        return NULL;
    int head = *pack->at++;
    if (head < 0x80 || head >= 0xe0)
        return PyLong_FromLong((signed char)head);
    if (head >= 0xcc && head <= 0xcf)
        return read_bits(pack, 1 << (head - 0xcc), &bits) ? PyLong_FromUnsignedLongLong(bits) : NULL;
    return head >= 0xd0 && head <= 0xd3 ? read_signed(pack, 1 << (head - 0xd0)) : NULL;
}

static PyObject *read_string(Pack *pack)
{
    Text text;
    return read_text(pack, &text) ? PyUnicode_DecodeUTF8(text.at, text.size, NULL) : NULL;
}

static PyObject *read_tuple(Pack *pack, PyObject *(*item)(Pack *))
{
    Py_ssize_t n;
    PyObject *made = read_array(pack, &n) ? PyTuple_New(n) : NULL;
    if (made == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *one = item(pack);
        if (one == NULL) {
            Py_DECREF(made);
            return NULL;
        }
        PyTuple_SET_ITEM(made, i, one);
    }
    return made;
}

/* Read the uses of cap counters: a map of texts to tuples of whole numbers. */
static PyObject *read_uses(Text packed)
{
    Pack pack = pack_of(packed);
    Py_ssize_t n;
    PyObject *made = read_map(&pack, &n) ? PyDict_New() : NULL;
    if (made == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *key = read_string(&pack), *times = key == NULL ? NULL : read_tuple(&pack, read_whole);
        int added = times != NULL && PyDict_SetItem(made, key, times) == 0;
        Py_XDECREF(key);
        Py_XDECREF(times);
        if (!added)
            goto failed;
    }
    if (pack.at == pack.end)
        return made;
failed:
    Py_DECREF(made);
    return NULL;
}

/* ---------------------------------------------------------------------------------------------------------- structs */

/* See the first fields of a struct of exactly this class, borrowed; 0 where one was never set. */
static int see_fields(PyObject *from, const Layout *layout, int n, PyObject **found)
{
    if (!is_struct(from, layout))
        return 0;
    for (int i = 0; i < n; i++)
        if ((found[i] = FIELD(from, layout, i)) == NULL)
            return 0;
    return 1;
}

/* Learn where the fields of a class stand; where they are no slots, nothing of it is usual. */
static int learn_layout(Layout *layout, PyObject *type, const char *const *names)
{
    int found = laid_out(layout, type, names);
    if (found == 0)
        layout->type = NULL;
    return found < 0 ? -1 : 0;
}

/* Whether what was raised is to end the process, and not for the twin to look at. */
static int ending(void)
{
    return PyErr_Occurred() != NULL && !PyErr_ExceptionMatches(PyExc_Exception);
}

/* What was made, or what the twin makes where nothing was; a NULL that is no exception becomes the twin's. */
static PyObject *or_twin(PyObject *made, PyObject *twin, PyObject *const *args, Py_ssize_t n)
{
    if (made != NULL || ending())
        return made;
    PyErr_Clear();
    return PyObject_Vectorcall(twin, args, (size_t)n, NULL);
}

static PyObject *or_none(PyObject *made)
{
    if (made != NULL || ending())
        return made;
    PyErr_Clear();
    Py_RETURN_NONE;
}

static int counted(Py_ssize_t n, Py_ssize_t wanted)
{
    if (n == wanted)
        return 1;
    PyErr_Format(PyExc_TypeError, "%zd arguments are needed, not %zd", wanted, n);
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------- the read */

typedef struct {
    PyObject_HEAD
    PyObject *kept, *twin; /* the arguments: they own all that is borrowed below */
    Text head, with_decision, allowed;
    Template context, beside, decision, log;
} Reading;

/* See the id of a decision of this bucket. */
static int see_decision(PyObject *from, const char digits[DIGITS], Text *found)
{
    return see_text(from, found) && found->size >= DIGITS && memcmp(found->at, digits, DIGITS) == 0;
}

/* Pack the command for a customer, their digest, and the id of a decision or None; NULL where that is unusual. */
static PyObject *read_command(const Reading *self, PyObject *const *args)
{
    Text customer, digest, decision = {NULL, 0};
    char digits[DIGITS];
    int decided = args[2] != Py_None;
    if (!see_text(args[0], &customer) || !see_bytes(args[1], &digest))
        return NULL;
    bucket_of(customer, digits);
    if (decided && !see_decision(args[2], digits, &decision))
        return NULL;
    Out out;
    out_begin(&out);
    put(&out, decided ? self->with_decision : self->head);
    put_key(&out, &self->context, digits, customer);
    put_template(&out, &self->beside, digits);
    if (decided) {
        put_key(&out, &self->decision, digits, decision);
        put_template(&out, &self->log, digits);
    }
    put_bulk(&out, customer);
    put_bulk(&out, digest);
    put(&out, self->allowed);
    PyObject *made = out_bytes(&out);
    out_end(&out);
    return made;
}

static PyObject *reading_packed(Reading *self, PyObject *const *args, Py_ssize_t n)
{
    return counted(n, 3) ? or_twin(read_command(self, args), self->twin, args, n) : NULL;
}

static PyObject *reading_usual(Reading *self, PyObject *const *args, Py_ssize_t n)
{
    return counted(n, 3) ? or_none(read_command(self, args)) : NULL;
}

static int reading_traverse(Reading *self, visitproc visit, void *arg)
{
    Py_VISIT(self->kept);
    return 0;
}

static void reading_dealloc(Reading *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->kept);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *reading_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    PyObject *head, *with_decision, *allowed, *context, *beside, *decision, *log;
    Reading *self = (Reading *)type->tp_alloc(type, 0);
    (void)named;
    if (self == NULL)
        return NULL;
    self->kept = Py_NewRef(args);
    if (PyArg_ParseTuple(args, "OSSSSSSS", &self->twin, &head, &with_decision, &allowed, &context, &beside, &decision,
                         &log)
        && template_of(context, &self->context) == 0 && template_of(beside, &self->beside) == 0
        && template_of(decision, &self->decision) == 0 && template_of(log, &self->log) == 0
        && see_bytes(head, &self->head) && see_bytes(with_decision, &self->with_decision)
        && see_bytes(allowed, &self->allowed))
        return (PyObject *)self;
    Py_DECREF(self);
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "parts of a command are bytes");
    return NULL;
}

/* -------------------------------------------------------------------------------------------------------- the commit */

enum { KEY, AT_MOST, WITHIN, SINCE, FREES, HOLD, ON, COUNTER_FIELDS };
static const char *const counter_fields[] = {"key", "at_most", "within_ms", "since_ms", "frees_ms", "hold_ms", "on",
                                             NULL};

enum {
    CUSTOMER, DECISION, DIGEST, NOW, ENTRY, CANDIDATES, READ, ASKED, CONSENT, GIVES, MEMORY, CHANNEL, NOT_AFTER, COUNTING,
    COMMIT_FIELDS
};
static const char *const commit_fields[] = {
    "customer", "decision_id", "digest", "now_ms", "entry", "candidates", "read_ms", "asked", "consent", "gives",
    "memory", "channel", "not_after_ms", "counting", NULL,
};

typedef struct {
    PyObject_HEAD
    PyObject *kept, *twin; /* the arguments: they own all that is borrowed below */
    PyObject *told, *seal;
    Layout commit, counter;
    Text name, kept_ms;
    Template context, decision, log, beside, heard, counts; /* beside: with the head of the log */
} Committing;

/* Pack what the store is told beside what it hands on as it is; 0 where that is unusual. */
static int pack_told(Out *out, PyObject *const *field, Text customer)
{
    Text asked, channel;
    if (field[COUNTING] != Py_None || !PyTuple_CheckExact(field[GIVES]) || PyTuple_GET_SIZE(field[GIVES]) > 0)
        return 0;
    pack_array(out, 6);
    if (!pack_object_whole(out, field[NOW]) || !pack_object_whole(out, field[READ])
        || !pack_object_whole(out, field[NOT_AFTER]) || !see_text(field[ASKED], &asked)
        || !see_text(field[CHANNEL], &channel) || !pack_text(out, equal(asked, customer) ? (Text){"", 0} : asked))
        return 0;
    if (field[MEMORY] == Py_None && channel.size == 0)
        pack_false(out);
    else {
        pack_array(out, 3);
        if (field[MEMORY] == Py_None)
            pack_false(out);
        else if (!pack_object_whole(out, field[MEMORY]))
            return 0;
        if (!pack_text(out, channel))
            return 0;
        pack_array(out, 0);
    }
    pack_false(out);
    return 1;
}

/* Put what the store is told, which the twin says where it is unusual; 0 where not even that can be. */
static int put_told(const Committing *self, Out *out, PyObject *commit, PyObject *const *field, Text customer)
{
    Out own;
    Text told;
    out_begin(&own);
    int usual = pack_told(&own, field, customer) && !own.failed;
    if (usual)
        put_bulk(out, (Text){own.base, own.size});
    out_end(&own);
    if (usual)
        return 1;
    PyObject *said = PyObject_CallOneArg(self->told, commit);
    if (said != NULL && (usual = see_bytes(said, &told)))
        put_bulk(out, told);
    Py_XDECREF(said);
    return usual;
}

/* Put what stands for the entry where the store chains entries. */
static int put_seal(const Committing *self, Out *out, PyObject *entry)
{
    Text seal;
    PyObject *made = PyObject_CallOneArg(self->seal, entry);
    int usual = made != NULL && see_bytes(made, &seal);
    if (usual)
        put_bulk(out, seal);
    Py_XDECREF(made);
    return usual;
}

static int any_set(PyObject *const *field, int *found)
{
    long long value;
    for (int i = SINCE; i <= ON; i++) {
        if (!see_whole(field[i], &value))
            return 0;
        *found |= value != 0;
    }
    return 1;
}

/* Pack one candidate: its action, and three values a counter, or seven where one of them has more. */
static int pack_candidate(const Committing *self, Out *out, PyObject *candidate)
{
    PyObject *field[COUNTER_FIELDS];
    int whole = 0;
    if (!PyTuple_CheckExact(candidate) || PyTuple_GET_SIZE(candidate) != 2)
        return 0;
    PyObject *counters = PyTuple_GET_ITEM(candidate, 1);
    if (!PyTuple_CheckExact(counters))
        return 0;
    Py_ssize_t n = PyTuple_GET_SIZE(counters);
    for (Py_ssize_t i = 0; i < n; i++)
        if (!see_fields(PyTuple_GET_ITEM(counters, i), &self->counter, COUNTER_FIELDS, field)
            || !any_set(field, &whole))
            return 0;
    int most = whole ? COUNTER_FIELDS : WITHIN + 1;
    if (!pack_array(out, 2 + most * n) || !pack_object_text(out, PyTuple_GET_ITEM(candidate, 0)))
        return 0;
    pack_whole(out, most);
    for (Py_ssize_t i = 0; i < n; i++) {
        see_fields(PyTuple_GET_ITEM(counters, i), &self->counter, COUNTER_FIELDS, field);
        if (!pack_object_text(out, field[KEY]))
            return 0;
        for (int at = AT_MOST; at < most; at++)
            if (!pack_object_whole(out, field[at]))
                return 0;
    }
    return 1;
}

/* Put the candidates of a placement, one after another as one part. */
static int put_row(const Committing *self, Out *out, PyObject *row)
{
    int usual = PyTuple_CheckExact(row);
    Out own;
    out_begin(&own);
    for (Py_ssize_t i = 0; usual && i < PyTuple_GET_SIZE(row); i++)
        usual = pack_candidate(self, &own, PyTuple_GET_ITEM(row, i));
    usual = usual && !own.failed;
    if (usual)
        put_bulk(out, (Text){own.base, own.size});
    out_end(&own);
    return usual;
}

typedef struct { Text customer, id, entry, digest, consent, erased; } Parts;

static int see_parts(PyObject *const *field, PyObject *erased, char digits[DIGITS], Parts *found)
{
    if (!see_text(field[CUSTOMER], &found->customer))
        return 0;
    bucket_of(found->customer, digits);
    return see_decision(field[DECISION], digits, &found->id) && see_bytes(field[ENTRY], &found->entry)
           && see_bytes(field[DIGEST], &found->digest) && see_bytes(field[CONSENT], &found->consent)
           && see_bytes(erased, &found->erased) && PyTuple_CheckExact(field[CANDIDATES]);
}

static int put_commit(const Committing *self, Out *out, PyObject *commit, PyObject *const *field, const Parts *parts,
                      const char digits[DIGITS])
{
    int counts = field[COUNTING] != Py_None;
    Py_ssize_t n = PyTuple_GET_SIZE(field[CANDIDATES]);
    put_head(out, '*', 18 + counts + n);
    put(out, self->name);
    put_word(out, counts ? "$1\r\n8\r\n" : "$1\r\n7\r\n");
    put_key(out, &self->context, digits, parts->customer);
    put_template(out, &self->log, digits);
    put_key(out, &self->decision, digits, parts->id);
    put_template(out, &self->beside, digits);
    put_key(out, &self->heard, digits, parts->customer);
    if (counts)
        put_template(out, &self->counts, digits);
    put_bulk(out, parts->customer);
    put_bulk(out, parts->entry);
    put_bulk(out, parts->digest);
    put_bulk(out, parts->erased);
    put_bulk(out, parts->consent);
    put(out, self->kept_ms);
    if (!put_told(self, out, commit, field, parts->customer) || !put_seal(self, out, field[ENTRY]))
        return 0;
    for (Py_ssize_t i = 0; i < n; i++)
        if (!put_row(self, out, PyTuple_GET_ITEM(field[CANDIDATES], i)))
            return 0;
    return 1;
}

static PyObject *decision_key(const Committing *self, Text id, const char digits[DIGITS])
{
    Py_ssize_t begin = self->decision.text.size;
    PyObject *made = PyBytes_FromStringAndSize(NULL, begin + id.size);
    if (made == NULL)
        return NULL;
    char *at = PyBytes_AS_STRING(made);
    memcpy(at, self->decision.text.at, (size_t)begin);
    memcpy(at + begin, id.at, (size_t)id.size);
    for (int i = 0; i < self->decision.n; i++)
        memcpy(at + self->decision.places[i], digits, DIGITS);
    return made;
}

/* Return the key of the decision and the command for a commit and the customer's digest; NULL where it is unusual. */
static PyObject *commit_command(const Committing *self, PyObject *const *args)
{
    PyObject *field[COMMIT_FIELDS], *key = NULL, *command = NULL, *made = NULL;
    char digits[DIGITS];
    Parts parts;
    Out out;
    if (!see_fields(args[0], &self->commit, COMMIT_FIELDS, field)
        || !see_parts(field, args[1], digits, &parts))
        return NULL;
    out_begin(&out);
    if (put_commit(self, &out, args[0], field, &parts, digits) && (command = out_bytes(&out)) != NULL
        && (key = decision_key(self, parts.id, digits)) != NULL)
        made = PyTuple_Pack(2, key, command);
    out_end(&out);
    Py_XDECREF(key);
    Py_XDECREF(command);
    return made;
}

static PyObject *committing_packed(Committing *self, PyObject *const *args, Py_ssize_t n)
{
    return counted(n, 2) ? or_twin(commit_command(self, args), self->twin, args, n) : NULL;
}

static PyObject *committing_usual(Committing *self, PyObject *const *args, Py_ssize_t n)
{
    return counted(n, 2) ? or_none(commit_command(self, args)) : NULL;
}

static int committing_traverse(Committing *self, visitproc visit, void *arg)
{
    Py_VISIT(self->kept);
    return 0;
}

static void committing_dealloc(Committing *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->kept);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *committing_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    PyObject *commit, *counter, *name, *kept_ms, *context, *decision, *log, *beside, *heard, *counts;
    Committing *self = (Committing *)type->tp_alloc(type, 0);
    (void)named;
    if (self == NULL)
        return NULL;
    self->kept = Py_NewRef(args);
    if (PyArg_ParseTuple(args, "OOOOOSSSSSSSS", &self->twin, &self->told, &self->seal, &commit, &counter, &name, &kept_ms,
                         &context, &beside, &heard, &decision, &log, &counts)
        && learn_layout(&self->commit, commit, commit_fields) == 0
        && learn_layout(&self->counter, counter, counter_fields) == 0
        && template_of(context, &self->context) == 0 && template_of(beside, &self->beside) == 0
        && template_of(decision, &self->decision) == 0 && template_of(log, &self->log) == 0
        && template_of(counts, &self->counts) == 0 && template_of(heard, &self->heard) == 0
        && see_bytes(name, &self->name)
        && see_bytes(kept_ms, &self->kept_ms))
        return (PyObject *)self;
    Py_DECREF(self);
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "parts of a command are bytes");
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ what a read answers */

#define AT_LEAST 6
#define MOST_LEVELS 16
#define KNOWN_FIELDS 13

typedef struct { Text name, allowed; PyObject *level; } Level;

typedef struct {
    PyObject_HEAD
    PyObject *kept, *twin; /* the arguments: they own all that is borrowed below */
    PyObject *known, *memory, *contact, *switched, *version, *nothing_remembered, *nothing_off;
    PyObject *none, *empty, *no_text, *no_bytes, *zero; /* what stands for nothing, owned */
    Text lowest;
    Py_ssize_t most;
    Level levels[MOST_LEVELS];
    int n;
} Reader;

/* Everything that is known, in the order of the fields of Known; what is owned of it is let go of together. */
typedef struct { PyObject *level, *channels, *groups, *counters, *memory, *off, *off_version; Text allowed; } Told;

static void told_end(Told *told)
{
    Py_XDECREF(told->channels);
    Py_XDECREF(told->groups);
    Py_XDECREF(told->counters);
    Py_XDECREF(told->memory);
    Py_XDECREF(told->off);
    Py_XDECREF(told->off_version);
}

static const Level *level_of(const Reader *self, Text name)
{
    for (int i = 0; i < self->n; i++)
        if (equal(self->levels[i].name, name))
            return &self->levels[i];
    return NULL;
}

static int skip_whole(Pack *pack)
{
    PyObject *found = read_whole(pack);
    Py_XDECREF(found);
    return found != NULL;
}

/* Read the level and the channels of a consent. What is not looked at must be of its type even so. */
static int read_consent(const Reader *self, PyObject *packed, Told *told)
{
    Text text, level, source, origin;
    Py_ssize_t n;
    if (packed == Py_None) {
        told->level = Py_None;
        told->channels = Py_NewRef(self->none);
        told->allowed = self->lowest;
        return 1;
    }
    if (!see_bytes(packed, &text))
        return 0;
    Pack pack = pack_of(text);
    const Level *found;
    if (!read_array(&pack, &n) || n < 4 || n > 6 || !read_text(&pack, &level)
        || (found = level_of(self, level)) == NULL || (told->channels = read_tuple(&pack, read_string)) == NULL
        || !skip_whole(&pack) || !read_text(&pack, &source) || !ascii(source) || (n > 4 && !skip_whole(&pack))
        || (n > 5 && (!read_text(&pack, &origin) || !ascii(origin))))
        return 0;
    told->level = found->level;
    told->allowed = found->allowed;
    return pack.at == pack.end;
}

/* Keep of the values those that the consent allows, by letter. */
static int read_groups(PyObject *reply, Told *told)
{
    Text letters;
    Py_ssize_t n = PyList_GET_SIZE(reply) - AT_LEAST;
    if (!see_bytes(PyList_GET_ITEM(reply, 3), &letters) || letters.size != n || !ascii(letters)
        || (told->groups = PyDict_New()) == NULL)
        return 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *value = PyList_GET_ITEM(reply, AT_LEAST + i);
        if (value == Py_None || memchr(told->allowed.at, letters.at[i], (size_t)told->allowed.size) == NULL)
            continue;
        PyObject *letter = PyUnicode_FromStringAndSize(letters.at + i, 1);
        int added = letter != NULL && PyDict_SetItem(told->groups, letter, value) == 0;
        Py_XDECREF(letter);
        if (!added)
            return 0;
    }
    return 1;
}

static int read_counters(PyObject *packed, Told *told)
{
    Text text;
    if (packed == Py_None)
        told->counters = PyDict_New();
    else if (see_bytes(packed, &text))
        told->counters = read_uses(text);
    return told->counters != NULL;
}

/* Read the latest contact: on which channel, when, and the actions. */
static PyObject *read_contact(const Reader *self, PyObject *packed)
{
    Text text;
    Py_ssize_t n;
    PyObject *part[3] = {NULL, NULL, NULL}, *made = NULL;
    if (packed == Py_None)
        Py_RETURN_NONE;
    if (!see_bytes(packed, &text))
        return NULL;
    Pack pack = pack_of(text);
    if (read_array(&pack, &n) && n == 3 && (part[0] = read_string(&pack)) != NULL
        && (part[1] = read_whole(&pack)) != NULL && (part[2] = read_tuple(&pack, read_string)) != NULL
        && pack.at == pack.end)
        made = PyObject_Vectorcall(self->contact, part, 3, NULL);
    for (int i = 0; i < 3; i++)
        Py_XDECREF(part[i]);
    return made;
}

/* Read a version: absent, or digits. */
static PyObject *read_version(const Reader *self, PyObject *told)
{
    Text text;
    long long number = 0;
    if (told == Py_None)
        return Py_NewRef(self->zero);
    if (!see_bytes(told, &text) || text.size < 1 || text.size > 18)
        return NULL;
    for (Py_ssize_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return NULL;
        number = 10 * number + (text.at[i] - '0');
    }
    return PyLong_FromLongLong(number);
}

/* Read what is switched off; nothing mostly. */
static int read_off(const Reader *self, PyObject *packed, Told *told)
{
    if (packed == Py_None) {
        told->off = Py_NewRef(self->nothing_off);
        told->off_version = Py_NewRef(self->zero);
        return 1;
    }
    told->off = PyObject_CallOneArg(self->switched, packed);
    told->off_version = told->off == NULL ? NULL : PyObject_CallOneArg(self->version, packed);
    return told->off_version != NULL;
}

/* Read [version, refusals, promises, reservations, latest contact, what is off], of which the first and the last two
   are usual. */
static int read_memory(const Reader *self, PyObject *from, Told *told)
{
    if (!PyList_CheckExact(from) || PyList_GET_SIZE(from) != 6)
        return 0;
    for (int i = 1; i <= 3; i++)
        if (PyList_GET_ITEM(from, i) != Py_None)
            return 0;
    PyObject *version = read_version(self, PyList_GET_ITEM(from, 0));
    PyObject *contact = version == NULL ? NULL : read_contact(self, PyList_GET_ITEM(from, 4));
    if (contact != NULL) {
        PyObject *part[] = {self->none, self->none, contact, version};
        told->memory = PyObject_Vectorcall(self->memory, part, 4, NULL);
    }
    Py_XDECREF(version);
    Py_XDECREF(contact);
    return told->memory != NULL && read_off(self, PyList_GET_ITEM(from, 5), told);
}

/* Read what is rare: [the decision, whether erased, how linked, what is remembered], of which only the last is usual. */
static int read_rare(const Reader *self, PyObject *rare, Told *told)
{
    long long erased;
    if (rare != Py_None) {
        if (!PyList_CheckExact(rare) || PyList_GET_SIZE(rare) != 4 || PyList_GET_ITEM(rare, 0) != Py_None
            || !see_whole(PyList_GET_ITEM(rare, 1), &erased) || erased != 0 || PyList_GET_ITEM(rare, 2) != Py_None)
            return 0;
        rare = PyList_GET_ITEM(rare, 3);
    }
    if (rare != Py_None)
        return read_memory(self, rare, told);
    told->memory = Py_NewRef(self->nothing_remembered);
    return read_off(self, Py_None, told);
}

/* See that a reply is one of at least so many items, and begins with what was asked about. */
static int is_about(PyObject *reply, Text asked, Py_ssize_t least, Py_ssize_t most)
{
    Text about;
    return PyList_CheckExact(reply) && PyList_GET_SIZE(reply) >= least && PyList_GET_SIZE(reply) <= most
           && see_bytes(PyList_GET_ITEM(reply, 0), &about) && equal(about, asked);
}

static PyObject *known_of(const Reader *self, PyObject *reply, const Told *told)
{
    PyObject *consent = PyList_GET_ITEM(reply, 2);
    PyObject *part[KNOWN_FIELDS] = {
        PyList_GET_ITEM(reply, 1), told->level, told->channels, told->groups, told->counters, Py_None, Py_False,
        self->no_text, Py_None, consent == Py_None ? self->no_bytes : consent, told->memory, told->off,
        told->off_version,
    };
    return PyObject_Vectorcall(self->known, part, KNOWN_FIELDS, NULL);
}

/* Return what a reply to the read of a customer says; NULL where it is unusual. */
static PyObject *known_from(const Reader *self, PyObject *const *args)
{
    Text customer;
    Told told = {0};
    PyObject *reply = args[1], *made = NULL;
    if (!see_text(args[0], &customer) || !is_about(reply, customer, AT_LEAST, self->most))
        return NULL;
    if (read_consent(self, PyList_GET_ITEM(reply, 2), &told) && read_groups(reply, &told)
        && read_counters(PyList_GET_ITEM(reply, 4), &told) && read_rare(self, PyList_GET_ITEM(reply, 5), &told))
        made = known_of(self, reply, &told);
    told_end(&told);
    return made;
}

static PyObject *reader_known(Reader *self, PyObject *const *args, Py_ssize_t n)
{
    return counted(n, 2) ? or_twin(known_from(self, args), self->twin, args, n) : NULL;
}

static PyObject *reader_usual(Reader *self, PyObject *const *args, Py_ssize_t n)
{
    return counted(n, 2) ? or_none(known_from(self, args)) : NULL;
}

static int reader_traverse(Reader *self, visitproc visit, void *arg)
{
    Py_VISIT(self->kept);
    return 0;
}

static void reader_dealloc(Reader *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->kept);
    Py_XDECREF(self->none);
    Py_XDECREF(self->no_text);
    Py_XDECREF(self->no_bytes);
    Py_XDECREF(self->zero);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Learn what each consent level allows: (level, letters) each. */
static int learn_levels(Reader *self, PyObject *levels)
{
    Py_ssize_t n = PyTuple_GET_SIZE(levels);
    self->n = n < MOST_LEVELS ? (int)n : MOST_LEVELS; /* the twin knows the others */
    for (int i = 0; i < self->n; i++) {
        Level *one = &self->levels[i];
        PyObject *allowed, *row = PyTuple_GET_ITEM(levels, i);
        if (!PyTuple_Check(row)) {
            PyErr_SetString(PyExc_TypeError, "a level is a tuple");
            return -1;
        }
        if (!PyArg_ParseTuple(row, "UU", &one->level, &allowed))
            return -1;
        if (!see_text(one->level, &one->name) || !see_text(allowed, &one->allowed)) {
            PyErr_SetString(PyExc_ValueError, "a level and its letters are texts");
            return -1;
        }
    }
    return 0;
}

static PyObject *reader_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    PyObject *levels, *lowest;
    Reader *self = (Reader *)type->tp_alloc(type, 0);
    (void)named;
    if (self == NULL)
        return NULL;
    self->kept = Py_NewRef(args);
    self->none = PyTuple_New(0);
    self->no_text = PyUnicode_FromStringAndSize("", 0);
    self->no_bytes = PyBytes_FromStringAndSize("", 0);
    self->zero = PyLong_FromLong(0);
    if (self->none != NULL && self->no_text != NULL && self->no_bytes != NULL && self->zero != NULL
        && PyArg_ParseTuple(args, "OO!UnOOOOOOO", &self->twin, &PyTuple_Type, &levels, &lowest, &self->most,
                            &self->known, &self->memory, &self->contact, &self->switched, &self->version,
                            &self->nothing_remembered, &self->nothing_off)
        && learn_levels(self, levels) == 0) {
        self->most += AT_LEAST;
        if (see_text(lowest, &self->lowest))
            return (PyObject *)self;
        PyErr_SetString(PyExc_ValueError, "the letters of the lowest level are a text");
    }
    Py_DECREF(self);
    return NULL;
}

/* ---------------------------------------------------------------------------------------------- what a commit answers */

typedef struct {
    PyObject_HEAD
    PyObject *kept, *twin; /* the arguments: they own all that is borrowed below */
    PyObject *committed, *nothing_off, *none;
    Layout commit; /* entry and digest */
} Settler;

/* Return what a commit did, from it, the key of the decision and the reply; NULL where that is unusual. */
static PyObject *committed_from(const Settler *self, PyObject *const *args)
{
    static const char nothing[] = "\x90";
    PyObject *field[2], *reply = args[2], *made = NULL;
    Text key, chosen, bound;
    long long repeated;
    if (!see_fields(args[0], &self->commit, 2, field) || !see_bytes(args[1], &key)
        || !is_about(reply, key, 5, 7) || !see_whole(PyList_GET_ITEM(reply, 1), &repeated) || repeated != 0
        || !see_bytes(PyList_GET_ITEM(reply, 2), &chosen) || !see_bytes(PyList_GET_ITEM(reply, 3), &bound)
        || !equal(bound, (Text){nothing, 1}) || PyList_GET_ITEM(reply, 4) != Py_None)
        return NULL;
    Pack pack = pack_of(chosen);
    PyObject *ranks = read_tuple(&pack, read_whole);
    if (ranks != NULL && pack.at == pack.end) {
        PyObject *part[] = {field[0], field[1], ranks, self->none, Py_False, self->nothing_off};
        made = PyObject_Vectorcall(self->committed, part, 6, NULL);
    }
    Py_XDECREF(ranks);
    return made;
}

static PyObject *settler_committed(Settler *self, PyObject *const *args, Py_ssize_t n)
{
    return counted(n, 3) ? or_twin(committed_from(self, args), self->twin, args, n) : NULL;
}

static PyObject *settler_usual(Settler *self, PyObject *const *args, Py_ssize_t n)
{
    return counted(n, 3) ? or_none(committed_from(self, args)) : NULL;
}

static int settler_traverse(Settler *self, visitproc visit, void *arg)
{
    Py_VISIT(self->kept);
    return 0;
}

static void settler_dealloc(Settler *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->kept);
    Py_XDECREF(self->none);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *settler_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    static const char *const wanted[] = {"entry", "digest", NULL};
    PyObject *commit;
    Settler *self = (Settler *)type->tp_alloc(type, 0);
    (void)named;
    if (self == NULL)
        return NULL;
    self->kept = Py_NewRef(args);
    self->none = PyTuple_New(0);
    if (self->none != NULL
        && PyArg_ParseTuple(args, "OOOO", &self->twin, &commit, &self->committed, &self->nothing_off)
        && learn_layout(&self->commit, commit, wanted) == 0)
        return (PyObject *)self;
    Py_DECREF(self);
    return NULL;
}

/* --------------------------------------------------------------------------------------------------- ids of decisions */

/* Name a decision after the customer's bucket and random bytes; None where the arguments are unusual. */
static PyObject *fresh_decision_id(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    static const char hex[] = "0123456789abcdef";
    Text customer, entropy;
    (void)module;
    if (!counted(n, 2))
        return NULL;
    if (!see_text(args[0], &customer) || !see_bytes(args[1], &entropy) || entropy.size != ENTROPY_BYTES)
        Py_RETURN_NONE;
    PyObject *made = PyUnicode_New(ID_CHARACTERS, 127);
    if (made == NULL)
        return NULL;
    char *at = (char *)PyUnicode_1BYTE_DATA(made);
    bucket_of(customer, at);
    for (int i = 0; i < ID_CHARACTERS - DIGITS; i++) {
        unsigned char both = (unsigned char)entropy.at[i / 2];
        at[DIGITS + i] = hex[i % 2 ? both & 15 : both >> 4];
    }
    return made;
}

/* ----------------------------------------------------------------------------------------------------------- module */

/* What they hold can hold them in turn (a twin is a method of who uses them), so that they are seen by the collector.
   Nothing of theirs is cleared: it is borrowed from until they go, and the other side of such a circle gives way. */
#define METHOD(called, name, text) {name, (PyCFunction)(void (*)(void))called, METH_FASTCALL, text}
#define TYPE(struct_, lower, text)                                                                                     \
    static PyTypeObject struct_##Type = {                                                                              \
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "service.store._commands." #struct_,                                  \
        .tp_basicsize = sizeof(struct_),                                                                               \
        .tp_dealloc = (destructor)lower##_dealloc,                                                                     \
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,                                                           \
        .tp_traverse = (traverseproc)lower##_traverse,                                                                 \
        .tp_doc = text,                                                                                                \
        .tp_methods = lower##_methods,                                                                                 \
        .tp_new = lower##_new,                                                                                         \
    }

static PyMethodDef reading_methods[] = {
    METHOD(reading_packed, "packed", "Return the command for a customer, their digest, and an id or None."),
    METHOD(reading_usual, "usual", "The same; None where the twin is wanted."),
    {NULL, NULL, 0, NULL},
};
TYPE(Reading, reading, "Packs the read of a customer.");

static PyMethodDef committing_methods[] = {
    METHOD(committing_packed, "packed", "Return the decision's key and the command for a commit and a digest."),
    METHOD(committing_usual, "usual", "The same; None where the twin is wanted."),
    {NULL, NULL, 0, NULL},
};
TYPE(Committing, committing, "Packs the commit of a decision.");

static PyMethodDef reader_methods[] = {
    METHOD(reader_known, "known", "Return what the reply to the read of a customer says."),
    METHOD(reader_usual, "usual", "The same; None where the twin is wanted."),
    {NULL, NULL, 0, NULL},
};
TYPE(Reader, reader, "Reads what is known of a customer.");

static PyMethodDef settler_methods[] = {
    METHOD(settler_committed, "committed", "Return what a commit did, from it, the decision's key and the reply."),
    METHOD(settler_usual, "usual", "The same; None where the twin is wanted."),
    {NULL, NULL, 0, NULL},
};
TYPE(Settler, settler, "Reads what a commit did.");

static PyMethodDef functions[] = {
    METHOD(fresh_decision_id, "fresh_decision_id", "Name a decision of a customer after 12 random bytes; None if unusual."),
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_commands", .m_doc = "A decision's commands to the store and their replies.",
    .m_size = -1, .m_methods = functions,
};

static int add(PyObject *to, const char *name, PyTypeObject *type)
{
    return PyType_Ready(type) < 0 ? -1 : PyModule_AddObjectRef(to, name, (PyObject *)type);
}

PyMODINIT_FUNC PyInit__commands(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made == NULL || add(made, "Reading", &ReadingType) < 0 || add(made, "Committing", &CommittingType) < 0
        || add(made, "Reader", &ReaderType) < 0 || add(made, "Settler", &SettlerType) < 0) {
        Py_XDECREF(made);
        return NULL;
    }
    return made;
}
