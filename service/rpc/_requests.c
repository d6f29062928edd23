/* Reads a tact.v1.DecideRequest from its bytes: what is usual, in one pass, without a protobuf message.

   The twin is protobuf with service/rpc/convert_decision.py. What is read here is read as it is there; everything else
   (what is wrong, and what is merely rare) is left to it before anything is made. The wire format that is expected is
   the shortest one, in which every field but placements and context stands at most once; fields come in any order. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------------ words */

#define PARTS 3
#define NO_TEXT (-1) /* the size of a part that is not there */
#define NEVER (-2)   /* the size of a text that UTF-8 cannot hold, and so no request can */
#define MIX 0x9e3779b97f4a7c15u

typedef struct { const char *at; Py_ssize_t size; } Text;
typedef struct { Text part[PARTS]; } Word;

/* Words by their text: `slots` has the places of words in `all`, or -1, and is at most half full. */
typedef struct { Word *all; int32_t *slots; size_t mask; } Words;

static Word word_of(Text only)
{
    return (Word){{only, {NULL, NO_TEXT}, {NULL, NO_TEXT}}};
}

static size_t hashed(const Word *word)
{
    uint64_t hash = 0;
    for (int i = 0; i < PARTS; i++) {
        const char *at = word->part[i].at;
        hash = (hash ^ (uint64_t)word->part[i].size) * MIX;
        for (Py_ssize_t left = word->part[i].size; left > 0; at += 8, left -= 8) {
            uint64_t eight = 0;
            memcpy(&eight, at, left < 8 ? (size_t)left : 8);
            hash = (hash ^ (hash >> 32) ^ eight) * MIX;
        }
    }
    return (size_t)(hash >> 32);
}

static int equal(const Word *one, const Word *other)
{
    for (int i = 0; i < PARTS; i++) {
        Py_ssize_t size = one->part[i].size;
        if (size != other->part[i].size || (size > 0 && memcmp(one->part[i].at, other->part[i].at, (size_t)size) != 0))
            return 0;
    }
    return 1;
}

/* The place of a word; -1 where it is none of them. */
static Py_ssize_t place_of(const Words *words, const Word *word)
{
    for (size_t at = hashed(word) & words->mask;; at = (at + 1) & words->mask) {
        int32_t place = words->slots[at];
        if (place < 0 || equal(&words->all[place], word))
            return place;
    }
}

/* Make room for n words; -1 with an exception. Each is then written to `all` and added. */
static int words_make(Words *words, Py_ssize_t n)
{
    size_t size = 8;
    if (n > 1 << 24) {
        PyErr_SetString(PyExc_ValueError, "there are too many words");
        return -1;
    }
    while (size < 2 * (size_t)n)
        size *= 2;
    words->mask = size - 1;
    words->all = PyMem_Calloc(n ? (size_t)n : 1, sizeof(Word));
    words->slots = PyMem_Malloc(size * sizeof(int32_t));
    if (words->all == NULL || words->slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(words->slots, 0xff, size * sizeof(int32_t));
    return 0;
}

static void words_add(Words *words, Py_ssize_t place)
{
    size_t at = hashed(&words->all[place]) & words->mask;
    while (words->slots[at] >= 0)
        at = (at + 1) & words->mask;
    words->slots[at] = (int32_t)place;
}

static void words_free(Words *words)
{
    PyMem_Free(words->all);
    PyMem_Free(words->slots);
}

/* Borrow the UTF-8 of a str, which keeps it; -1 with an exception. */
static int text_of(PyObject *from, Text *found)
{
    found->at = PyUnicode_AsUTF8AndSize(from, &found->size);
    if (found->at != NULL)
        return 0;
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
        return -1;
    PyErr_Clear();
    found->size = NEVER;
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------- wire */

enum { CUSTOMER = 0x0a, CHANNEL = 0x12, PLACEMENT = 0x1a, CONTEXT = 0x22, EXPLAIN = 0x28, KEY = 0x32, REQUEST_ID = 0x3a };
enum { ENTRY_KEY = 0x0a, ENTRY_VALUE = 0x12 };
enum { BOOL_VALUE = 0x08, INT_VALUE = 0x10, DOUBLE_VALUE = 0x19, STRING_VALUE = 0x22 }; /* number << 3 | wire type */

typedef struct { const unsigned char *at, *end; } Wire;

static Wire wire_of(Text text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    return (Wire){at, at + text.size};
}

static int tagged(Wire *wire, int tag)
{
    return wire->at < wire->end && *wire->at++ == tag;
}

/* Read 64 bits, written as short as can be; 0 for anything else. */
static int read_varint(Wire *wire, uint64_t *bits)
{
    *bits = 0;
    for (int shift = 0; shift < 64 && wire->at < wire->end; shift += 7) {
        unsigned char byte = *wire->at++;
        if (shift == 63 && byte > 1)
            return 0;
        *bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return byte || !shift;
    }
    return 0;
}

static int read_text(Wire *wire, Text *found)
{
    uint64_t size;
    if (!read_varint(wire, &size) || size > (uint64_t)(wire->end - wire->at))
        return 0;
    *found = (Text){(const char *)wire->at, (Py_ssize_t)size};
    wire->at += size;
    return 1;
}

static int read_truth(Wire *wire, int *found)
{
    uint64_t bits;
    if (!read_varint(wire, &bits) || bits > 1)
        return 0;
    *found = (int)bits;
    return 1;
}

static int read_real(Wire *wire, double *found)
{
    uint64_t bits = 0;
    if (wire->end - wire->at < 8)
        return 0;
    for (int i = 0; i < 8; i++)
        bits |= (uint64_t)*wire->at++ << 8 * i;
    memcpy(found, &bits, 8);
    return 1;
}

/* ------------------------------------------------------------------------------------------------------------ texts */

static int ascii(Text from)
{
    unsigned char all = 0;
    for (Py_ssize_t i = 0; i < from.size; i++)
        all |= (unsigned char)from.at[i];
    return all < 0x80;
}

static int printable(Text from)
{
    for (Py_ssize_t i = 0; i < from.size; i++)
        if (from.at[i] < ' ' || from.at[i] > '~')
            return 0;
    return 1;
}

static int blank(Text from)
{
    for (Py_ssize_t i = 0; i < from.size; i++)
        if (from.at[i] != ' ')
            return 0;
    return 1;
}

/* ----------------------------------------------------------------------------------------------------------- request */

#define MOST_ENTRIES 64

enum { TRUTH, WHOLE, REAL, TEXT, KINDS };

/* One field of the context that requests hold: its index, and what its value may be. `values` are those of a text. */
typedef struct {
    PyObject *index, *values;
    int kind;
    double low, high;
    long long least, most;
    Words known;
} Field;

typedef struct {
    const Field *field;
    PyObject *known; /* one of the field's values, borrowed; NULL for another text */
    Text text;
    double real;
    long long whole;
} Said;

typedef struct {
    Text customer, key, request_id;
    Word place;
    int placements, explain, said;
    Said all[MOST_ENTRIES];
} Asked;

typedef struct { Py_ssize_t message, customer, key, entries, characters; } Most;

typedef struct {
    PyObject_HEAD
    PyObject *kept; /* the tuple of arguments: it owns all that is borrowed below */
    PyObject *request, *otherwise, *places;
    Most most;
    Words channels; /* a channel and its placements: the words of `places` */
    Words names;    /* those of `fields` */
    Field *fields;
    Py_ssize_t n;
} Reader;

static int said_text(const Field *field, Said *said, Py_ssize_t characters)
{
    Word word = word_of(said->text);
    if (PyTuple_GET_SIZE(field->values) == 0)
        return said->text.size <= characters && printable(said->text);
    Py_ssize_t place = place_of(&field->known, &word);
    if (place < 0)
        return 0;
    said->known = PyTuple_GET_ITEM(field->values, place);
    return 1;
}

/* Read a Value of the field's type and within its bounds; 0 for anything else. */
static int read_value(const Reader *self, Wire wire, Said *said)
{
    static const int tags[KINDS] = {BOOL_VALUE, INT_VALUE, DOUBLE_VALUE, STRING_VALUE};
    const Field *field = said->field;
    uint64_t bits;
    int fits;
    if (!tagged(&wire, tags[field->kind]))
        return 0;
    switch (field->kind) {
    case TRUTH:
        fits = read_varint(&wire, &bits) && bits <= 1;
        said->whole = fits ? (long long)bits : 0;
        break;
    case WHOLE:
        fits = read_varint(&wire, &bits);
        said->whole = (long long)bits;
        fits = fits && field->least <= said->whole && said->whole <= field->most;
        break;
    case REAL:
        fits = read_real(&wire, &said->real) && field->low <= said->real && said->real <= field->high;
        break;
    default:
        fits = read_text(&wire, &said->text) && said_text(field, said, self->most.characters);
    }
    return fits && wire.at == wire.end;
}

/* Read one entry of the context: a field that is known and was not named before, and its value. */
static int read_entry(const Reader *self, Wire wire, Asked *asked)
{
    Text name, given;
    if (asked->said >= self->most.entries || !tagged(&wire, ENTRY_KEY) || !read_text(&wire, &name))
        return 0;
    Word word = word_of(name);
    Py_ssize_t place = place_of(&self->names, &word);
    if (place < 0 || !tagged(&wire, ENTRY_VALUE) || !read_text(&wire, &given) || wire.at != wire.end)
        return 0;
    Said *said = &asked->all[asked->said];
    said->field = &self->fields[place];
    said->known = NULL;
    for (int i = 0; i < asked->said; i++)
        if (asked->all[i].field == said->field)
            return 0;
    asked->said++;
    return read_value(self, wire_of(given), said);
}

static int read_field(const Reader *self, int tag, Wire *wire, Asked *asked)
{
    Text given;
    switch (tag) {
    case CUSTOMER:
        return read_text(wire, &asked->customer);
    case CHANNEL:
        return read_text(wire, &asked->place.part[0]);
    case PLACEMENT:
        return ++asked->placements < PARTS && read_text(wire, &asked->place.part[asked->placements]);
    case CONTEXT:
        return read_text(wire, &given) && read_entry(self, wire_of(given), asked);
    case EXPLAIN:
        return read_truth(wire, &asked->explain);
    case KEY:
        return read_text(wire, &asked->key);
    case REQUEST_ID:
        return read_text(wire, &asked->request_id);
    default:
        return 0;
    }
}

/* Read all fields; 0 for anything that is not usual. */
static int asked_of(const Reader *self, Wire wire, Asked *asked)
{
    const uint64_t repeated = 1u << (PLACEMENT >> 3) | 1u << (CONTEXT >> 3);
    uint64_t seen = 0;
    asked->customer = asked->key = asked->request_id = (Text){"", 0};
    asked->place = word_of((Text){NULL, NO_TEXT});
    asked->placements = asked->explain = asked->said = 0;
    while (wire.at < wire.end) {
        int tag = *wire.at++;
        uint64_t number = (uint64_t)1 << (tag >> 3);
        if ((seen & number & ~repeated) || !read_field(self, tag, &wire, asked))
            return 0;
        seen |= number;
    }
    return asked->customer.size <= self->most.customer && printable(asked->customer) && !blank(asked->customer)
        && asked->key.size <= self->most.key && ascii(asked->key)
        && asked->request_id.size <= self->most.key && ascii(asked->request_id);
}

/* ---------------------------------------------------------------------------------------------------------- objects */

static PyObject *said_object(const Said *said)
{
    switch (said->field->kind) {
    case TRUTH: return PyBool_FromLong((long)said->whole);
    case WHOLE: return PyLong_FromLongLong(said->whole);
    case REAL: return PyFloat_FromDouble(said->real);
    default:
        if (said->known != NULL)
            return Py_NewRef(said->known);
        return PyUnicode_DecodeASCII(said->text.at, said->text.size, NULL);
    }
}

static PyObject *context_of(const Asked *asked)
{
    PyObject *context = PyDict_New();
    for (int i = 0; context != NULL && i < asked->said; i++) {
        PyObject *one = said_object(&asked->all[i]);
        if (one == NULL || PyDict_SetItem(context, asked->all[i].field->index, one) < 0)
            Py_CLEAR(context);
        Py_XDECREF(one);
    }
    return context;
}

static PyObject *request_of(const Reader *self, const Asked *asked, PyObject *place)
{
    PyObject *request = NULL, *customer = PyUnicode_DecodeASCII(asked->customer.at, asked->customer.size, NULL);
    PyObject *key = PyUnicode_DecodeASCII(asked->key.at, asked->key.size, NULL);
    PyObject *request_id = PyUnicode_DecodeASCII(asked->request_id.at, asked->request_id.size, NULL);
    PyObject *context = context_of(asked);
    if (customer != NULL && key != NULL && request_id != NULL && context != NULL) {
        PyObject *told[] = {customer, PyTuple_GET_ITEM(place, 0), PyTuple_GET_ITEM(place, 1), context,
                            asked->explain ? Py_True : Py_False, key, request_id};
        request = PyObject_Vectorcall(self->request, told, sizeof told / sizeof *told, NULL);
    }
    Py_XDECREF(customer);
    Py_XDECREF(key);
    Py_XDECREF(request_id);
    Py_XDECREF(context);
    return request;
}

/* usual(raw) -> Request | None */
static PyObject *reader_usual(Reader *self, PyObject *raw)
{
    Asked asked;
    if (!PyBytes_CheckExact(raw) || PyBytes_GET_SIZE(raw) > self->most.message)
        Py_RETURN_NONE;
    if (!asked_of(self, wire_of((Text){PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw)}), &asked))
        Py_RETURN_NONE;
    Py_ssize_t place = place_of(&self->channels, &asked.place);
    if (place < 0)
        Py_RETURN_NONE;
    return request_of(self, &asked, PyTuple_GET_ITEM(self->places, place));
}

/* read(raw) -> Request */
static PyObject *reader_read(Reader *self, PyObject *raw)
{
    PyObject *request = reader_usual(self, raw);
    if (request != Py_None)
        return request;
    Py_DECREF(request);
    return PyObject_CallOneArg(self->otherwise, raw);
}

/* ----------------------------------------------------------------------------------------------------------- reader */

static void reader_dealloc(Reader *self)
{
    for (Py_ssize_t i = 0; self->fields != NULL && i < self->n; i++)
        words_free(&self->fields[i].known);
    PyMem_Free(self->fields);
    words_free(&self->names);
    words_free(&self->channels);
    Py_XDECREF(self->kept);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Learn a channel with one or two of its placements: (channel, placements). */
static int learn_place(Reader *self, Py_ssize_t at)
{
    PyObject *channel, *placements;
    Text *part = self->channels.all[at].part;
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(self->places, at), "O!O!", &PyUnicode_Type, &channel, &PyTuple_Type,
                          &placements))
        return -1;
    Py_ssize_t size = PyTuple_GET_SIZE(placements);
    if (size < 1 || size >= PARTS) {
        PyErr_SetString(PyExc_ValueError, "one or two placements are usual");
        return -1;
    }
    if (text_of(channel, &part[0]) < 0)
        return -1;
    part[2].size = NO_TEXT;
    for (Py_ssize_t i = 0; i < size; i++)
        if (text_of(PyTuple_GET_ITEM(placements, i), &part[i + 1]) < 0)
            return -1;
    words_add(&self->channels, at);
    return 0;
}

/* Learn a field: (id, index, kind, low, high, least, most, values). */
static int learn_field(Reader *self, PyObject *row, Py_ssize_t at)
{
    PyObject *name;
    Field *field = &self->fields[at];
    Text found;
    if (!PyArg_ParseTuple(row, "O!O!iddLLO!", &PyUnicode_Type, &name, &PyLong_Type, &field->index, &field->kind,
                          &field->low, &field->high, &field->least, &field->most, &PyTuple_Type, &field->values))
        return -1;
    if (field->kind < 0 || field->kind >= KINDS) {
        PyErr_SetString(PyExc_ValueError, "there is no such kind of field");
        return -1;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(field->values);
    if (text_of(name, &found) < 0 || words_make(&field->known, n) < 0)
        return -1;
    self->names.all[at] = word_of(found);
    words_add(&self->names, at);
    for (Py_ssize_t i = 0; i < n; i++) {
        if (text_of(PyTuple_GET_ITEM(field->values, i), &found) < 0)
            return -1;
        field->known.all[i] = word_of(found);
        words_add(&field->known, i);
    }
    return 0;
}

static int learn(Reader *self, PyObject *rows)
{
    Py_ssize_t n = PyTuple_GET_SIZE(rows), places = PyTuple_GET_SIZE(self->places);
    self->fields = PyMem_Calloc(n ? (size_t)n : 1, sizeof(Field));
    if (self->fields == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->n = n;
    if (words_make(&self->names, n) < 0 || words_make(&self->channels, places) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < places; i++)
        if (learn_place(self, i) < 0)
            return -1;
    for (Py_ssize_t i = 0; i < n; i++)
        if (learn_field(self, PyTuple_GET_ITEM(rows, i), i) < 0)
            return -1;
    return 0;
}

static PyObject *reader_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    PyObject *rows;
    Reader *self = (Reader *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    (void)named;
    self->kept = Py_NewRef(args);
    Most *most = &self->most;
    if (!PyArg_ParseTuple(args, "OO(nnnnn)O!O!", &self->request, &self->otherwise, &most->message, &most->customer,
                          &most->key, &most->entries, &most->characters, &PyTuple_Type, &self->places, &PyTuple_Type,
                          &rows))
        goto failed;
    if (most->entries > MOST_ENTRIES) {
        PyErr_Format(PyExc_ValueError, "at most %d entries of a context are read here", MOST_ENTRIES);
        goto failed;
    }
    if (learn(self, rows) == 0)
        return (PyObject *)self;
failed:
    Py_DECREF(self);
    return NULL;
}

static PyMethodDef reader_methods[] = {
    {"read", (PyCFunction)(void (*)(void))reader_read, METH_O, "Return the request in some bytes, or fail as the twin."},
    {"usual", (PyCFunction)(void (*)(void))reader_usual, METH_O, "Return the request in some bytes; None if unusual."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject ReaderType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "service.rpc._requests.Reader",
    .tp_basicsize = sizeof(Reader),
    .tp_dealloc = (destructor)reader_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Reads requests for decisions by the words of one strategy.",
    .tp_methods = reader_methods,
    .tp_new = reader_new,
};

/* ----------------------------------------------------------------------------------------------------------- module */

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_requests", .m_doc = "Requests for decisions, read from their bytes.", .m_size = -1,
};

PyMODINIT_FUNC PyInit__requests(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made == NULL || PyType_Ready(&ReaderType) < 0
        || PyModule_AddObjectRef(made, "Reader", (PyObject *)&ReaderType) < 0) {
        Py_XDECREF(made);
        return NULL;
    }
    return made;
}
