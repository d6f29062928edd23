/* What the usual decision says: the answers that a commit chose from a plan, with their reasons and sentences.

   The twin is `chosen` in service/core/answers.py, which is asked for what is unusual: None is returned for it, before
   anything is said. The words of sentences come from there as well, in pieces. */

#include "_structs.h"
#include <stdint.h>
#include <string.h>

enum { IN_CHANNEL, IN_STRATEGY, IN_ASKS, IN_VALUES, IN_PLACEMENTS };
static const char *const IN[] = {"channel", "strategy", "asks", "values", "placements", NULL};
enum { AT_PLACE, AT_CANDIDATES, AT_POOL, AT_EXPLORED, AT_SUPPRESSION };
static const char *const AT[] = {"placement", "candidates", "pool", "explored", "suppression", NULL};
enum { OF_ACTION, OF_PROPENSITY, OF_BASELINE, OF_NET, OF_PREFERRED, OF_WHY, OF_LEARNED };
static const char *const OF[] = {"action", "propensity", "baseline", "net_value", "preferred", "why", "learned", NULL};
enum { DONE_CHOSEN, DONE_OFF };
static const char *const DONE[] = {"chosen", "off", NULL};
enum { WHY_CODE, WHY_SENTENCE, WHY_RULE, WHY_FIELDS };
static const char *const WHY[] = {"code", "sentence", "rule", "fields", NULL};
enum { TYPE_ENTRY, TYPE_PLAN, TYPE_CANDIDATE, TYPE_COMMITTED, TYPE_REASON, TYPE_ANSWER, TYPES };
enum { CODE_HIGHEST, CODE_EXPLORATION, CODE_INSTEAD, CODE_PROMISED, CODES };
enum { HAS_KIND, HAS_TEXT, HAS_INTENTS, HAS_MODEL, HAS }; /* what is said of an action at a place */
enum { OVER_UNKNOWN, OVER_NOTHING, OVER_LEARNED, OVERS };
enum { BEST_HEAD, BEST_TAIL, DRAWN_HEAD, DRAWN_MIDDLE, DRAWN_TAIL, PIECES };

typedef struct { const char *at; size_t n; } Piece;

typedef struct {
    PyObject_HEAD
    PyObject *types, *codes, *greeted, *nothing_off, *version, *greeting, *words, *names, *texts;
    PyObject *said, *plain; /* names of what words that vary are asked */
    Layout in, at, of, done, why;
    Piece pieces[OVERS][PIECES];
    Py_ssize_t *places;
    int readable;
} Saying;

/* What is being said: of one plan, and the features that are named, once they are. All but `features` is borrowed. */
typedef struct { PyObject *entry, *values, *features, *here; } Told;

/* -------------------------------------------------------------------------------------------------------- sentences */

#define LONGEST 512
#define MOST_WORTH 1e12

typedef struct { char text[LONGEST]; size_t n; } Sentence;

static int add(Sentence *to, const char *from, size_t n)
{
    if (n > LONGEST - to->n)
        return 0;
    memcpy(to->text + to->n, from, n);
    to->n += n;
    return 1;
}

static int add_piece(Sentence *to, Piece piece)
{
    return add(to, piece.at, piece.n);
}

static int add_whole(Sentence *to, uint64_t number)
{
    char digits[20];
    int at = 20;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    return add(to, digits + at, (size_t)(20 - at));
}

/* Add a number with two decimals, halves to the even hundredth, as Python writes it: below 1e12 it is a whole number
   of at most 53 bits, divided by a power of two, so that all of it is exact in 64 bits. */
static int add_worth(Sentence *to, double worth)
{
    uint64_t bits, hundredths = 0;
    memcpy(&bits, &worth, sizeof bits);
    if (!(worth < MOST_WORTH && worth > -MOST_WORTH))
        return 0;
    uint64_t exponent = bits >> 52 & 0x7FF, whole = bits & 0xFFFFFFFFFFFFFu;
    unsigned shift = 1075 - (unsigned)(exponent ? exponent : 1);
    if (shift < 62) { /* beyond it is less than half a hundredth */
        whole = (exponent ? whole | 1ull << 52 : whole) * 100;
        uint64_t half = 1ull << (shift - 1), rest = whole & ((half << 1) - 1);
        hundredths = whole >> shift;
        hundredths += rest > half || (rest == half && (hundredths & 1));
    }
    const char end[3] = {'.', (char)('0' + hundredths / 10 % 10), (char)('0' + hundredths % 10)};
    return (!(bits >> 63) || add(to, "-", 1)) && add_whole(to, hundredths / 100) && add(to, end, 3);
}

/* Write why something is said; 0 where that is unusual. `pool` is NULL for what was not drawn to learn from. */
static int sentence_of(const Piece *pieces, PyObject *worth, PyObject *pool, Sentence *to)
{
    to->n = 0;
    double net = PyFloat_AS_DOUBLE(worth);
    if (pool == NULL)
        return add_piece(to, pieces[BEST_HEAD]) && add_worth(to, net) && add_piece(to, pieces[BEST_TAIL]);
    int beyond;
    if (!PyLong_CheckExact(pool))
        return 0;
    long long size = PyLong_AsLongLongAndOverflow(pool, &beyond);
    return !beyond && size >= 0 && add_piece(to, pieces[DRAWN_HEAD]) && add_whole(to, (uint64_t)size)
           && add_piece(to, pieces[DRAWN_MIDDLE]) && add_worth(to, net) && add_piece(to, pieces[DRAWN_TAIL]);
}

/* ---------------------------------------------------------------------------------------------------------- reasons

   What returns an object here returns NULL without an exception for what is unusual. */

/* Return the features of the model that were known then; the answers of one plan share them. */
static PyObject *features_of(const Saying *self, Told *told)
{
    if (told->features != NULL)
        return Py_NewRef(told->features);
    PyObject *version = FIELD(told->entry, &self->in, IN_STRATEGY), *values = FIELD(told->entry, &self->in, IN_VALUES);
    if (!is_text(version) || !is_tuple(values))
        return NULL;
    Py_ssize_t n = same_text(version, self->version) ? PyTuple_GET_SIZE(self->names) : 0, known = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (self->places[i] >= PyTuple_GET_SIZE(values))
            return NULL;
        known += PyTuple_GET_ITEM(values, self->places[i]) != Py_None;
    }
    PyObject *found = PyTuple_New(known);
    for (Py_ssize_t i = 0, to = 0; found != NULL && i < n; i++)
        if (PyTuple_GET_ITEM(values, self->places[i]) != Py_None)
            PyTuple_SET_ITEM(found, to++, Py_NewRef(PyTuple_GET_ITEM(self->names, i)));
    told->features = Py_XNewRef(found);
    return found;
}

/* Take over a sentence and fields, either of which may be NULL, and return a reason of them. */
static PyObject *reason_of(const Saying *self, int code, PyObject *sentence, PyObject *rule, PyObject *fields)
{
    PyObject *given[] = {PyTuple_GET_ITEM(self->codes, code), sentence, rule, fields}, *made = NULL;
    if (sentence != NULL && rule != NULL && fields != NULL)
        made = PyObject_Vectorcall(PyTuple_GET_ITEM(self->types, TYPE_REASON), given, 4, NULL);
    Py_XDECREF(sentence);
    Py_XDECREF(fields);
    return made;
}

/* Return why a candidate is said, apart from what asked for it. */
static PyObject *worth_of(const Saying *self, Told *told, PyObject *candidate, PyObject *pool, int modelled)
{
    const Layout *of = &self->of;
    PyObject *action = FIELD(candidate, of, OF_ACTION), *net = FIELD(candidate, of, OF_NET);
    PyObject *learned = FIELD(candidate, of, OF_LEARNED), *baseline = FIELD(candidate, of, OF_BASELINE);
    if (net == NULL || !PyFloat_CheckExact(net) || learned == NULL || !PyBool_Check(learned) || baseline == NULL)
        return NULL;
    if (PyFloat_AS_DOUBLE(net) <= 0.0 && same_text(action, self->greeting))
        return Py_NewRef(self->greeted);
    int over = learned == Py_True ? OVER_LEARNED : baseline == Py_None ? OVER_UNKNOWN : OVER_NOTHING;
    Sentence sentence;
    if (!sentence_of(self->pieces[over], net, pool, &sentence))
        return NULL;
    PyObject *fields = modelled ? features_of(self, told) : PyTuple_New(0);
    PyObject *text = PyUnicode_DecodeUTF8(sentence.text, (Py_ssize_t)sentence.n, NULL);
    return reason_of(self, pool == NULL ? CODE_HIGHEST : CODE_EXPLORATION, text, action, fields);
}

/* Take over a reason and perhaps one before it, and return them together. */
static PyObject *together(PyObject *before, PyObject *reason)
{
    PyObject *both = PyTuple_New(before == NULL ? 1 : 2);
    if (both == NULL) {
        Py_XDECREF(before);
        Py_DECREF(reason);
        return NULL;
    }
    if (before != NULL)
        PyTuple_SET_ITEM(both, 0, before);
    PyTuple_SET_ITEM(both, before != NULL, reason);
    return both;
}

/* Return the reason that a guardrail asked for something else. */
static PyObject *instead_of(const Saying *self, PyObject *asks)
{
    const Layout *why = &self->why;
    if (!is_struct(asks, why))
        return NULL;
    return reason_of(self, CODE_INSTEAD, Py_XNewRef(FIELD(asks, why, WHY_SENTENCE)), FIELD(asks, why, WHY_RULE),
                     Py_XNewRef(FIELD(asks, why, WHY_FIELDS)));
}

static PyObject *reasons_of(const Saying *self, Told *told, PyObject *candidate, PyObject *pool, int modelled)
{
    PyObject *asks = FIELD(told->entry, &self->in, IN_ASKS), *preferred = FIELD(candidate, &self->of, OF_PREFERRED);
    PyObject *why = FIELD(candidate, &self->of, OF_WHY);
    if (asks == NULL || preferred == NULL || !PyBool_Check(preferred) || why == NULL)
        return NULL;
    if (why != Py_None && !is_struct(why, &self->why))
        return NULL;
    PyObject *reason = worth_of(self, told, candidate, pool, modelled);
    if (reason == NULL)
        return NULL;
    if (why != Py_None) {
        if (FIELD(why, &self->why, WHY_CODE) != PyTuple_GET_ITEM(self->codes, CODE_PROMISED))
            return together(Py_NewRef(why), reason);
        Py_DECREF(reason);
        return together(NULL, Py_NewRef(why));
    }
    if (preferred == Py_False || asks == Py_None)
        return together(NULL, reason);
    PyObject *instead = instead_of(self, asks);
    if (instead == NULL) {
        Py_DECREF(reason);
        return NULL;
    }
    return together(instead, reason);
}

/* ---------------------------------------------------------------------------------------------------------- answers */

/* Return the words for these values, or for nobody in particular where there are none. */
static PyObject *worded(const Saying *self, PyObject *text, PyObject *values)
{
    if (PyUnicode_CheckExact(text))
        return Py_NewRef(text);
    if (PyTuple_GET_SIZE(values))
        return PyObject_CallMethodOneArg(text, self->said, values);
    return PyObject_GetAttr(text, self->plain);
}

/* Return what stands under a text in a dict, borrowed; NULL for nothing, and for what is no text or no dict. */
static PyObject *under(PyObject *words, PyObject *text)
{
    return words == NULL || !PyDict_CheckExact(words) || !is_text(text) ? NULL : PyDict_GetItemWithError(words, text);
}

static PyObject *answer_of(const Saying *self, Told *told, PyObject *placed, PyObject *candidate, PyObject *pool)
{
    const Layout *of = &self->of;
    PyObject *place = FIELD(placed, &self->at, AT_PLACE), *action = FIELD(candidate, of, OF_ACTION);
    PyObject *has = under(under(told->here, place), action), *propensity = FIELD(candidate, of, OF_PROPENSITY);
    if (has == NULL || !PyTuple_CheckExact(has) || PyTuple_GET_SIZE(has) != HAS || propensity == NULL)
        return NULL;
    PyObject *reasons = reasons_of(self, told, candidate, pool, PyTuple_GET_ITEM(has, HAS_MODEL) == Py_True);
    if (reasons == NULL)
        return NULL;
    PyObject *text = worded(self, PyTuple_GET_ITEM(has, HAS_TEXT), told->values), *answer = NULL;
    if (text != NULL) {
        PyObject *given[] = {place, action, PyTuple_GET_ITEM(has, HAS_KIND), text, PyTuple_GET_ITEM(has, HAS_INTENTS),
                             propensity, FIELD(candidate, of, OF_NET), reasons};
        answer = PyObject_Vectorcall(PyTuple_GET_ITEM(self->types, TYPE_ANSWER), given, 8, NULL);
        Py_DECREF(text);
    }
    Py_DECREF(reasons);
    return answer;
}

/* Return the answer of one placement, of which `taken` tells the rank that was taken. */
static PyObject *placement_of(const Saying *self, Told *told, PyObject *placed, PyObject *taken)
{
    const Layout *at = &self->at;
    if (!is_struct(placed, at))
        return NULL;
    PyObject *suppression = FIELD(placed, at, AT_SUPPRESSION), *candidates = FIELD(placed, at, AT_CANDIDATES);
    if (suppression != Py_None)
        return Py_XNewRef(suppression);
    PyObject *explored = FIELD(placed, at, AT_EXPLORED), *pool = FIELD(placed, at, AT_POOL);
    if (!PyLong_CheckExact(taken) || !is_tuple(candidates) || explored == NULL || !PyBool_Check(explored)
        || pool == NULL)
        return NULL;
    int beyond;
    long long rank = PyLong_AsLongLongAndOverflow(taken, &beyond);
    if (beyond || rank < 0 || rank >= PyTuple_GET_SIZE(candidates))
        return NULL;
    PyObject *candidate = PyTuple_GET_ITEM(candidates, rank);
    if (!is_struct(candidate, &self->of))
        return NULL;
    return answer_of(self, told, placed, candidate, rank == 0 && explored == Py_True ? pool : NULL);
}

/* Return the answers of all placements; NULL without an exception for what is unusual. */
static PyObject *answers_of(const Saying *self, Told *told, PyObject *committed)
{
    PyObject *placements = FIELD(told->entry, &self->in, IN_PLACEMENTS);
    PyObject *chosen = FIELD(committed, &self->done, DONE_CHOSEN);
    if (!is_tuple(placements) || !is_tuple(chosen) || FIELD(committed, &self->done, DONE_OFF) != self->nothing_off
        || PyTuple_GET_SIZE(chosen) < PyTuple_GET_SIZE(placements))
        return NULL;
    told->here = under(self->words, FIELD(told->entry, &self->in, IN_CHANNEL));
    Py_ssize_t n = PyTuple_GET_SIZE(placements);
    PyObject *all = PyTuple_New(n);
    for (Py_ssize_t i = 0; all != NULL && i < n; i++) {
        PyObject *answer = placement_of(self, told, PyTuple_GET_ITEM(placements, i), PyTuple_GET_ITEM(chosen, i));
        if (answer == NULL)
            Py_CLEAR(all);
        else
            PyTuple_SET_ITEM(all, i, answer);
    }
    return all;
}

static PyObject *saying_chosen(Saying *self, PyObject *const *args, Py_ssize_t n)
{
    if (n != 3) {
        PyErr_SetString(PyExc_TypeError, "a plan, what was committed of it, and values are asked for");
        return NULL;
    }
    if (!self->readable || !is_struct(args[0], &self->in) || !is_struct(args[1], &self->done) || !is_tuple(args[2]))
        Py_RETURN_NONE;
    Told told = {args[0], args[2], NULL, NULL};
    PyObject *all = answers_of(self, &told, args[1]);
    Py_XDECREF(told.features);
    if (all == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return all;
}

/* -------------------------------------------------------------------------------------------------------- the class */

static int know_places(Saying *self, PyObject *places, PyObject *names)
{
    Py_ssize_t n = PyTuple_GET_SIZE(places);
    if (n != PyTuple_GET_SIZE(names)) {
        PyErr_SetString(PyExc_ValueError, "there are as many places as names");
        return -1;
    }
    self->places = PyMem_Calloc((size_t)n + 1, sizeof(Py_ssize_t));
    if (self->places == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        self->places[i] = PyLong_AsSsize_t(PyTuple_GET_ITEM(places, i));
        if (self->places[i] < 0) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "a place of a value is no negative number");
            return -1;
        }
    }
    return 0;
}

static int know_pieces(Saying *self, PyObject *texts)
{
    if (PyTuple_GET_SIZE(texts) != OVERS * PIECES) {
        PyErr_SetString(PyExc_ValueError, "a sentence has other pieces");
        return -1;
    }
    for (int i = 0; i < OVERS * PIECES; i++) {
        Py_ssize_t n;
        const char *at = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(texts, i), &n);
        if (at == NULL)
            return -1;
        self->pieces[i / PIECES][i % PIECES] = (Piece){at, (size_t)n};
    }
    return 0;
}

static int know_layouts(Saying *self, PyObject *types)
{
    Layout *const layouts[] = {&self->in, &self->at, &self->of, &self->done, &self->why};
    const char *const *const names[] = {IN, AT, OF, DONE, WHY};
    int readable = 1;
    for (int i = 0; i < TYPE_ANSWER; i++) {
        int found = laid_out(layouts[i], PyTuple_GET_ITEM(types, i), names[i]);
        if (found < 0)
            return -1;
        readable &= found;
    }
    self->readable = readable;
    return 0;
}

static int saying_init(Saying *self, PyObject *args, PyObject *named)
{
    PyObject *types, *codes, *greeted, *off, *version, *greeting, *words, *places, *names, *texts;
    if (self->types != NULL || (named != NULL && PyDict_GET_SIZE(named))) {
        PyErr_SetString(PyExc_TypeError, "this is made once, and nothing is given by name");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "O!O!OOUUO!O!O!O!", &PyTuple_Type, &types, &PyTuple_Type, &codes, &greeted, &off,
                          &version, &greeting, &PyDict_Type, &words, &PyTuple_Type, &places, &PyTuple_Type, &names,
                          &PyTuple_Type, &texts))
        return -1;
    if (PyTuple_GET_SIZE(types) != TYPES || PyTuple_GET_SIZE(codes) != CODES) {
        PyErr_SetString(PyExc_ValueError, "there are other classes or codes");
        return -1;
    }
    PyObject *const given[] = {types, codes, greeted, off, version, greeting, words, names, texts};
    PyObject **const own[] = {&self->types, &self->codes, &self->greeted, &self->nothing_off, &self->version,
                              &self->greeting, &self->words, &self->names, &self->texts};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        *own[i] = Py_NewRef(given[i]);
    self->said = PyUnicode_InternFromString("said");
    self->plain = PyUnicode_InternFromString("plain");
    if (self->said == NULL || self->plain == NULL || know_places(self, places, names) < 0
        || know_pieces(self, texts) < 0)
        return -1;
    return know_layouts(self, types);
}

static int saying_traverse(Saying *self, visitproc visit, void *arg)
{
    Py_VISIT(self->types);
    Py_VISIT(self->codes);
    Py_VISIT(self->words);
    Py_VISIT(self->names);
    return 0;
}

static int saying_clear(Saying *self)
{
    self->readable = 0;
    PyObject **const own[] = {&self->types, &self->codes, &self->greeted, &self->nothing_off, &self->version,
                              &self->greeting, &self->words, &self->names, &self->texts, &self->said, &self->plain};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        Py_CLEAR(*own[i]);
    return 0;
}

static void saying_dealloc(Saying *self)
{
    PyObject_GC_UnTrack(self);
    saying_clear(self);
    PyMem_Free(self->places);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef saying_methods[] = {
    {"chosen", (PyCFunction)(void (*)(void))saying_chosen, METH_FASTCALL, "Return the answers, or None."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject SayingType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "service.core._saying.Saying",
    .tp_basicsize = sizeof(Saying),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "See service/core/saying.py.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)saying_init,
    .tp_dealloc = (destructor)saying_dealloc,
    .tp_traverse = (traverseproc)saying_traverse,
    .tp_clear = (inquiry)saying_clear,
    .tp_methods = saying_methods,
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_saying", "The compiled twin of `chosen` in service/core/answers.py.", -1, NULL, NULL, NULL,
    NULL, NULL,
};

PyMODINIT_FUNC PyInit__saying(void)
{
    if (PyType_Ready(&SayingType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddObjectRef(module, "Saying", (PyObject *)&SayingType) < 0)
        Py_CLEAR(module);
    return module;
}
