/* Packs a decision as the bytes of a tact.v1.DecideResponse, in one pass from its last byte to its first: what stands
   inside is written before its length is told.

   The twin is service/rpc/answer_plainly.py; the bytes are the same. What is unusual (explanations, texts that cannot
   be encoded, values of other types than usual) is left to it before anything is given out. */

#include "../core/_structs.h"
#include <stdint.h>
#include <string.h>

#define MOST_CODES 128 /* those that take one byte */
#define FULL 1         /* the rung of what nothing was missing for */

enum { TOP_ID, TOP_ANSWERS, TOP_STRATEGY, TOP_MODEL, TOP_AT, TOP_DEGRADED, TOP_EXPLANATION };
static const char *const TOP[] = {"decision_id", "answers", "strategy", "model", "at_ms", "degraded", "explanation",
                                  NULL};
enum { SAID_AT, SAID_ACTION, SAID_KIND, SAID_TEXT, SAID_INTENTS, SAID_PROPENSITY, SAID_WORTH, SAID_REASONS, SAID_HELD,
       SAID_UNTIL };
static const char *const SAID[] = {"placement", "action", "kind", "text", "intents", "propensity", "net_value",
                                   "reasons", "held_back", "until_ms", NULL};
enum { WHY_CODE, WHY_SENTENCE, WHY_RULE, WHY_FIELDS, WHY_UNTIL };
static const char *const WHY[] = {"code", "sentence", "rule", "fields", "until_ms", NULL};

typedef struct {
    PyObject_HEAD
    PyObject *types, *greeting, *offer, *plainly;
    Layout top, said, why;
    unsigned char codes[MOST_CODES]; /* on which rung a reason puts what it degrades; 0 where there is no such reason */
    int readable;
} Packing;

/* ---------------------------------------------------------------------------------------------------------- writing */

#define NEAR 4096

typedef struct {
    unsigned char *start, *at, *end; /* written is what stands from `at` to `end` */
    PyObject *fields;                /* the fields that were packed last, and where: as distances from the end */
    size_t fields_from, fields_to;
    unsigned char near[NEAR];
} Out;

static void begin(Out *out)
{
    out->start = out->near;
    out->at = out->end = out->near + NEAR;
    out->fields = NULL;
}

static size_t written(const Out *out)
{
    return (size_t)(out->end - out->at);
}

/* Make room for n bytes more, in front; -1 where there is no memory. */
static int grow(Out *out, size_t n)
{
    size_t used = written(out), size = 2 * (used + n);
    if (n > PY_SSIZE_T_MAX / 4 || used > PY_SSIZE_T_MAX / 4)
        return -1;
    unsigned char *wider = PyMem_Malloc(size);
    if (wider == NULL)
        return -1;
    memcpy(wider + size - used, out->at, used);
    if (out->start != out->near)
        PyMem_Free(out->start);
    out->start = wider;
    out->end = wider + size;
    out->at = out->end - used;
    return 0;
}

static inline int put(Out *out, const void *bytes, size_t n)
{
    if ((size_t)(out->at - out->start) < n && grow(out, n) < 0)
        return -1;
    out->at -= n;
    memcpy(out->at, bytes, n);
    return 0;
}

static inline int put_byte(Out *out, unsigned char byte)
{
    if (out->at == out->start && grow(out, 1) < 0)
        return -1;
    *--out->at = byte;
    return 0;
}

static int put_number(Out *out, uint64_t number)
{
    if (number < 0x80)
        return put_byte(out, (unsigned char)number);
    unsigned char digits[10];
    size_t n = 0;
    for (; number > 0x7F; number >>= 7)
        digits[n++] = (unsigned char)(number | 0x80);
    digits[n++] = (unsigned char)number;
    return put(out, digits, n);
}

/* Put a tag and a length in front of what was written since. */
static inline int put_head(Out *out, unsigned char tag, size_t since)
{
    return put_number(out, written(out) - since) < 0 ? -1 : put_byte(out, tag);
}

/* Write a text; an empty one only where `also_empty`. -1 for what is no text, or cannot be encoded. */
static int put_text(Out *out, unsigned char tag, PyObject *text, int also_empty)
{
    if (!is_text(text))
        return -1;
    Py_ssize_t n;
    const char *bytes;
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        n = PyUnicode_GET_LENGTH(text);
        bytes = (const char *)PyUnicode_1BYTE_DATA(text);
    } else if ((bytes = PyUnicode_AsUTF8AndSize(text, &n)) == NULL) {
        return -1;
    }
    if (n == 0 && !also_empty)
        return 0;
    return put(out, bytes, (size_t)n) < 0 || put_number(out, (uint64_t)n) < 0 ? -1 : put_byte(out, tag);
}

/* Write a tuple of texts, empty ones included. */
static int put_texts(Out *out, unsigned char tag, PyObject *texts)
{
    if (!is_tuple(texts))
        return -1;
    for (Py_ssize_t i = PyTuple_GET_SIZE(texts) - 1; i >= 0; i--)
        if (put_text(out, tag, PyTuple_GET_ITEM(texts, i), 1) < 0)
            return -1;
    return 0;
}

/* Write a Timestamp of milliseconds; what is 0 in it is left out. */
static int put_moment(Out *out, unsigned char tag, PyObject *moment)
{
    int beyond;
    if (moment == NULL || !PyLong_CheckExact(moment))
        return -1;
    long long ms = PyLong_AsLongLongAndOverflow(moment, &beyond);
    if (beyond || (ms == -1 && PyErr_Occurred()))
        return -1;
    long long seconds = ms / 1000, rest = ms % 1000;
    if (rest < 0) {
        rest += 1000;
        seconds -= 1;
    }
    size_t since = written(out);
    if (rest && (put_number(out, (uint64_t)rest * 1000000u) < 0 || put_byte(out, 0x10) < 0))
        return -1;
    if (seconds && (put_number(out, (uint64_t)seconds) < 0 || put_byte(out, 0x08) < 0))
        return -1;
    return put_head(out, tag, since);
}

/* Write a double; 0.0 is left out, and -0.0 is not. */
static int put_real(Out *out, unsigned char tag, PyObject *number)
{
    if (number == NULL || !PyFloat_CheckExact(number))
        return -1;
    double real = PyFloat_AS_DOUBLE(number);
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    if (bits == 0)
        return 0;
    unsigned char little[8];
    for (int i = 0; i < 8; i++)
        little[i] = (unsigned char)(bits >> (8 * i));
    return put(out, little, 8) < 0 ? -1 : put_byte(out, tag);
}

/* ----------------------------------------------------------------------------------------------- parts of an answer */

/* Write the fields of a reason; the same ones once more are copied, for the answers of a decision share them. */
static int put_fields(Out *out, PyObject *fields)
{
    if (fields != NULL && fields == out->fields) {
        size_t n = out->fields_to - out->fields_from;
        if ((size_t)(out->at - out->start) < n && grow(out, n) < 0)
            return -1;
        out->at -= n;
        memcpy(out->at, out->end - out->fields_to, n);
        return 0;
    }
    size_t from = written(out);
    if (put_texts(out, 0x22, fields) < 0)
        return -1;
    out->fields = fields;
    out->fields_from = from;
    out->fields_to = written(out);
    return 0;
}

static int put_reason(const Packing *self, Out *out, unsigned char tag, PyObject *reason)
{
    const Layout *why = &self->why;
    if (!is_struct(reason, why))
        return -1;
    PyObject *code = FIELD(reason, why, WHY_CODE), *until = FIELD(reason, why, WHY_UNTIL);
    size_t since = written(out);
    if (until != Py_None && put_moment(out, 0x2a, until) < 0)
        return -1;
    if (put_fields(out, FIELD(reason, why, WHY_FIELDS)) < 0
        || put_text(out, 0x1a, FIELD(reason, why, WHY_RULE), 0) < 0
        || put_text(out, 0x12, FIELD(reason, why, WHY_SENTENCE), 0) < 0 || code == NULL || !PyLong_Check(code))
        return -1;
    long number = PyLong_AsLong(code);
    if (number < 0 || number >= MOST_CODES || !self->codes[number] || put_byte(out, (unsigned char)number) < 0
        || put_byte(out, 0x08) < 0)
        return -1;
    return put_head(out, tag, since);
}

static int put_reasons(const Packing *self, Out *out, unsigned char tag, PyObject *reasons)
{
    if (!is_tuple(reasons))
        return -1;
    for (Py_ssize_t i = PyTuple_GET_SIZE(reasons) - 1; i >= 0; i--)
        if (put_reason(self, out, tag, PyTuple_GET_ITEM(reasons, i)) < 0)
            return -1;
    return 0;
}

static int put_suppression(const Packing *self, Out *out, PyObject *answer)
{
    const Layout *said = &self->said;
    PyObject *until = FIELD(answer, said, SAID_UNTIL);
    size_t since = written(out);
    if (until != Py_None && put_moment(out, 0x12, until) < 0)
        return -1;
    return put_text(out, 0x0a, FIELD(answer, said, SAID_HELD), 0) < 0 ? -1 : put_head(out, 0x22, since);
}

static int put_words(const Packing *self, Out *out, PyObject *answer)
{
    const Layout *said = &self->said;
    PyObject *kind = FIELD(answer, said, SAID_KIND);
    if (!is_text(kind))
        return -1;
    int greets = same_text(kind, self->greeting), sells = !greets && same_text(kind, self->offer);
    size_t since = written(out);
    if (sells && put(out, "\x30\x01", 2) < 0)
        return -1;
    if (!greets
        && (put_real(out, 0x29, FIELD(answer, said, SAID_WORTH)) < 0
            || put_real(out, 0x21, FIELD(answer, said, SAID_PROPENSITY)) < 0))
        return -1;
    if (put_texts(out, 0x1a, FIELD(answer, said, SAID_INTENTS)) < 0
        || put_text(out, 0x12, FIELD(answer, said, SAID_TEXT), 0) < 0
        || put_text(out, 0x0a, FIELD(answer, said, SAID_ACTION), 0) < 0)
        return -1;
    return put_head(out, greets ? 0x12 : 0x1a, since);
}

static int put_answer(const Packing *self, Out *out, PyObject *answer)
{
    const Layout *said = &self->said;
    if (!is_struct(answer, said))
        return -1;
    size_t since = written(out);
    PyObject *action = FIELD(answer, said, SAID_ACTION);
    if (put_reasons(self, out, 0x2a, FIELD(answer, said, SAID_REASONS)) < 0 || !is_text(action))
        return -1;
    int silent = PyUnicode_GET_LENGTH(action) == 0;
    if ((silent ? put_suppression(self, out, answer) : put_words(self, out, answer)) < 0
        || put_text(out, 0x0a, FIELD(answer, said, SAID_AT), 0) < 0)
        return -1;
    return put_head(out, 0x1a, since);
}

/* -------------------------------------------------------------------------------------------------- whole decisions */

static int put_versions(const Packing *self, Out *out, PyObject *decision)
{
    size_t since = written(out);
    if (put_text(out, 0x12, FIELD(decision, &self->top, TOP_MODEL), 0) < 0
        || put_text(out, 0x0a, FIELD(decision, &self->top, TOP_STRATEGY), 0) < 0)
        return -1;
    return put_head(out, 0x22, since);
}

/* Write the rung: the lowest that anything missing puts a decision on, or the full one. */
static int put_rung(const Packing *self, Out *out, PyObject *degraded)
{
    unsigned char rung = FULL;
    if (!is_tuple(degraded))
        return -1;
    for (Py_ssize_t i = PyTuple_GET_SIZE(degraded) - 1; i >= 0; i--) {
        PyObject *reason = PyTuple_GET_ITEM(degraded, i);
        PyObject *code = is_struct(reason, &self->why) ? FIELD(reason, &self->why, WHY_CODE) : NULL;
        long number = code != NULL && PyLong_Check(code) ? PyLong_AsLong(code) : -1;
        if (number < 0 || number >= MOST_CODES)
            return -1;
        if (self->codes[number] > rung)
            rung = self->codes[number];
    }
    return put_byte(out, rung) < 0 ? -1 : put_byte(out, 0x50);
}

static int put_decision(const Packing *self, Out *out, PyObject *decision, PyObject *request_id)
{
    const Layout *top = &self->top;
    if (!is_struct(decision, top) || FIELD(decision, top, TOP_EXPLANATION) != Py_None)
        return -1;
    PyObject *degraded = FIELD(decision, top, TOP_DEGRADED), *answers = FIELD(decision, top, TOP_ANSWERS);
    if (put_rung(self, out, degraded) < 0 || put_moment(out, 0x3a, FIELD(decision, top, TOP_AT)) < 0 || put_reasons(self, out, 0x32, degraded) < 0
        || (PyTuple_GET_SIZE(degraded) && put(out, "\x28\x01", 2) < 0) || put_versions(self, out, decision) < 0
        || !is_tuple(answers))
        return -1;
    for (Py_ssize_t i = PyTuple_GET_SIZE(answers) - 1; i >= 0; i--)
        if (put_answer(self, out, PyTuple_GET_ITEM(answers, i)) < 0)
            return -1;
    return put_text(out, 0x12, FIELD(decision, top, TOP_ID), 0) < 0 ? -1 : put_text(out, 0x0a, request_id, 0);
}

static PyObject *packing_of(Packing *self, PyObject *const *args, Py_ssize_t n)
{
    if (n != 2 || self->plainly == NULL) {
        PyErr_SetString(PyExc_TypeError, "a decision and the id of the request are asked for");
        return NULL;
    }
    Out out;
    begin(&out);
    PyObject *packed = NULL;
    int usual = self->readable && put_decision(self, &out, args[0], args[1]) == 0;
    if (usual)
        packed = PyBytes_FromStringAndSize((const char *)out.at, (Py_ssize_t)written(&out));
    if (out.start != out.near)
        PyMem_Free(out.start);
    if (usual)
        return packed;
    PyErr_Clear(); /* of a text that cannot be encoded: the twin says so itself */
    return PyObject_Vectorcall(self->plainly, args, 2, NULL);
}

/* -------------------------------------------------------------------------------------------------------- the class */

static int know_codes(Packing *self, PyObject *codes, PyObject *rungs)
{
    if (PyTuple_GET_SIZE(codes) != PyTuple_GET_SIZE(rungs)) {
        PyErr_SetString(PyExc_TypeError, "each reason has a rung");
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(codes); i++) {
        long code = PyLong_AsLong(PyTuple_GET_ITEM(codes, i)), rung = PyLong_AsLong(PyTuple_GET_ITEM(rungs, i));
        if ((code == -1 || rung == -1) && PyErr_Occurred())
            return -1;
        if (code > 0 && code < MOST_CODES && rung >= FULL && rung < 0x80)
            self->codes[code] = (unsigned char)rung;
    }
    return 0;
}

static int know_layouts(Packing *self, PyObject *types)
{
    Layout *const layouts[] = {&self->top, &self->said, &self->why};
    const char *const *const names[] = {TOP, SAID, WHY};
    int readable = 1;
    if (PyTuple_GET_SIZE(types) != 3) {
        PyErr_SetString(PyExc_TypeError, "the classes of decisions, answers and reasons are asked for");
        return -1;
    }
    for (int i = 0; i < 3; i++) {
        int found = laid_out(layouts[i], PyTuple_GET_ITEM(types, i), names[i]);
        if (found < 0)
            return -1;
        readable &= found;
    }
    self->readable = readable;
    return 0;
}

static int packing_init(Packing *self, PyObject *args, PyObject *named)
{
    PyObject *types, *codes, *rungs, *greeting, *offer, *plainly;
    if (self->types != NULL || (named != NULL && PyDict_GET_SIZE(named))) {
        PyErr_SetString(PyExc_TypeError, "this is made once, and nothing is given by name");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "O!O!O!UUO", &PyTuple_Type, &types, &PyTuple_Type, &codes, &PyTuple_Type, &rungs,
                          &greeting, &offer, &plainly)
        || know_codes(self, codes, rungs) < 0)
        return -1;
    self->types = Py_NewRef(types);
    self->greeting = Py_NewRef(greeting);
    self->offer = Py_NewRef(offer);
    self->plainly = Py_NewRef(plainly);
    return know_layouts(self, types);
}

static int packing_traverse(Packing *self, visitproc visit, void *arg)
{
    Py_VISIT(self->types);
    Py_VISIT(self->plainly);
    return 0;
}

static int packing_clear(Packing *self)
{
    self->readable = 0;
    Py_CLEAR(self->types);
    Py_CLEAR(self->greeting);
    Py_CLEAR(self->offer);
    Py_CLEAR(self->plainly);
    return 0;
}

static void packing_dealloc(Packing *self)
{
    PyObject_GC_UnTrack(self);
    packing_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef packing_methods[] = {
    {"of", (PyCFunction)(void (*)(void))packing_of, METH_FASTCALL, "Return the serialized DecideResponse."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject PackingType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "service.rpc._answers.Packing",
    .tp_basicsize = sizeof(Packing),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "See service/rpc/answer_bytes.py.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)packing_init,
    .tp_dealloc = (destructor)packing_dealloc,
    .tp_traverse = (traverseproc)packing_traverse,
    .tp_clear = (inquiry)packing_clear,
    .tp_methods = packing_methods,
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_answers", "The compiled twin of service/rpc/answer_plainly.py.", -1, NULL, NULL, NULL,
    NULL, NULL,
};

PyMODINIT_FUNC PyInit__answers(void)
{
    if (PyType_Ready(&PackingType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddObjectRef(module, "Packing", (PyObject *)&PackingType) < 0)
        Py_CLEAR(module);
    return module;
}
