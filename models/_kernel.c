/* The compiled twin of models/kernel_plainly.py: the same results to the last bit, in a fraction of the time.

   Every floating point operation is done in the same order as there, one at a time (compile with -ffp-contract=off).
   What the arguments are is told there; what cannot be read here is left to the caller, by a None or an exception. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx2", "default"))) /* the same operations, more of them at a time */
#else
#define WIDE
#endif

#define LIMIT 1e12
#define DAY_MS 86400000.0
#define EXACT 9007199254740992.0 /* 2^53: whole numbers up to here are exact as doubles */

/* ------------------------------------------------------------------------------------------------------- borrowing */

/* Hold a contiguous buffer of n items of a size; -1 with an exception where it is none. */
static int held(PyObject *from, Py_buffer *view, Py_ssize_t n, Py_ssize_t size, int flags)
{
    if (PyObject_GetBuffer(from, view, PyBUF_C_CONTIGUOUS | flags) < 0)
        return -1;
    if (view->len == n * size)
        return 0;
    PyErr_Format(PyExc_ValueError, "a buffer has %zd bytes, not %zd", view->len, n * size);
    PyBuffer_Release(view);
    return -1;
}

/* Copy a buffer of n items into memory of its own. */
static void *copied(PyObject *from, Py_ssize_t n, Py_ssize_t size)
{
    Py_buffer view;
    if (held(from, &view, n, size, 0) < 0)
        return NULL;
    void *own = PyMem_Malloc(n > 0 ? n * size : 1);
    if (own == NULL)
        PyErr_NoMemory();
    else
        memcpy(own, view.buf, n * size);
    PyBuffer_Release(&view);
    return own;
}

/* --------------------------------------------------------------------------------------------------------- logistic */

typedef double Four __attribute__((vector_size(32), aligned(8)));
typedef int64_t Fours __attribute__((vector_size(32), aligned(8)));

static inline __attribute__((always_inline)) Four each(double number)
{
    return (Four){number, number, number, number};
}

/* a where the mask says so, b elsewhere. */
static inline __attribute__((always_inline)) Four either(Fours mask, Four a, Four b)
{
    return (Four)((mask & (Fours)a) | (~mask & (Fours)b));
}

/* tanh(y): (e - 1) / (e + 1) with e = exp(2 y), by a Taylor series of degree 13. */
static inline __attribute__((always_inline)) Four tanh_of(Four y)
{
    Four t = y + y;
    t = either((Fours)(t > each(40.0)), each(40.0), t);
    t = either((Fours)(t < each(-40.0)), each(-40.0), t);
    Four k = t * each(1.4426950408889634);
    k = (k + each(6755399441055744.0)) - each(6755399441055744.0); /* to the nearest whole number */
    Four r = t - k * each(0.693145751953125);
    r = r - k * each(1.4286068203094172321e-6);
    static const double series[] = {
        2.08767569878681e-09, 2.505210838544172e-08, 2.7557319223985893e-07, 2.7557319223985893e-06,
        2.48015873015873e-05, 0.0001984126984126984, 0.001388888888888889, 0.008333333333333333, 0.041666666666666664,
        0.16666666666666666, 0.5, 1.0, 1.0,
    };
    Four p = each(1.6059043836821613e-10);
    for (size_t i = 0; i < sizeof series / sizeof *series; i++)
        p = p * r + each(series[i]);
    Four power = k + each(1023.0); /* -58 <= k <= 58; of what is no number the power does not matter */
    power = either((Fours)(power == power), power, each(1023.0));
    Fours shift = (Fours)(power + each(4503599627370496.0)); /* the whole number now stands in the low bits */
    Four e = p * (Four)(shift << 52);
    return (e - each(1.0)) / (e + each(1.0));
}

/* tanh of n values, in place. */
WIDE static void tanh_all(double *y, Py_ssize_t n)
{
    Four four;
    Py_ssize_t i = 0;
    for (; i + 4 <= n; i += 4) {
        memcpy(&four, y + i, sizeof four);
        four = tanh_of(four);
        memcpy(y + i, &four, sizeof four);
    }
    if (i == n)
        return;
    four = each(0.0);
    memcpy(&four, y + i, (n - i) * sizeof(double));
    four = tanh_of(four);
    memcpy(y + i, &four, (n - i) * sizeof(double));
}

/* ---------------------------------------------------------------------------------------------------------- scoring */

/* One node in a quarter of a line of the cache: an end is its own child, and carries a value instead of a threshold. */
typedef struct { double number; int32_t child, feature; } Node;

typedef struct {
    PyObject_HEAD
    Py_ssize_t columns, models, actions;
    Py_ssize_t n_numbers, n_moments, n_texts, n_trees, n_forests, n_hung;
    int64_t *numbers, *moments;       /* (place, column) each */
    int64_t *text_places;             /* (place, column of the unknown) each */
    PyObject *texts;                  /* a dict of columns each */
    double *weights, *bias;           /* (columns, models), (models,) */
    double *gains, *anyways, *constant, *cost; /* (actions,); anyways may be NULL */
    int64_t *roots, *first, *rows, *forest;
    double *scale;
    Node *nodes;
    double *x, *sums;                 /* room to work in */
    int32_t *known;                   /* the columns that are not 0 */
} Scoring;

static void scoring_dealloc(Scoring *self)
{
    void *own[] = {self->numbers, self->moments, self->text_places, self->weights, self->bias, self->gains,
                   self->anyways, self->constant, self->cost, self->roots, self->first, self->rows, self->forest,
                   self->scale, self->nodes, self->x, self->sums, self->known};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        PyMem_Free(own[i]);
    Py_XDECREF(self->texts);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int take(void **own, PyObject *from, Py_ssize_t n, Py_ssize_t size)
{
    *own = copied(from, n, size);
    return *own == NULL ? -1 : 0;
}

/* Lay the nodes side by side; children stand behind their parents, so that every walk ends. */
static int lay(Scoring *self, PyObject *feature, PyObject *threshold, PyObject *child, PyObject *value, Py_ssize_t nodes)
{
    int64_t *features = copied(feature, nodes, 8), *children = copied(child, nodes, 8);
    double *thresholds = copied(threshold, nodes, 8), *values = copied(value, nodes, 8);
    int fits = features != NULL && children != NULL && thresholds != NULL && values != NULL ? 1 : -1;
    if (fits == 1 && nodes >= INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "there are too many nodes");
        fits = -1;
    }
    self->nodes = fits == 1 ? PyMem_Malloc((nodes ? nodes : 1) * sizeof(Node)) : NULL;
    for (Py_ssize_t i = 0; i < nodes && self->nodes != NULL; i++) {
        if (features[i] < 0 || features[i] >= self->columns || children[i] < i
            || children[i] >= nodes - (children[i] > i))
            fits = 0;
        double number = children[i] == i ? values[i] : thresholds[i];
        self->nodes[i] = (Node){number, (int32_t)children[i], (int32_t)features[i]};
    }
    if (fits == 1 && self->nodes == NULL)
        PyErr_NoMemory();
    PyMem_Free(features);
    PyMem_Free(children);
    PyMem_Free(thresholds);
    PyMem_Free(values);
    return self->nodes == NULL ? -1 : fits;
}

static int hang(Scoring *self, PyObject *trees)
{
    PyObject *feature, *threshold, *child, *value, *roots, *first, *rows, *forest, *scale;
    if (!PyArg_ParseTuple(trees, "OOOOOOOOO", &feature, &threshold, &child, &value, &roots, &first, &rows, &forest,
                          &scale))
        return -1;
    Py_ssize_t nodes = PyObject_Length(feature);
    self->n_trees = PyObject_Length(roots);
    self->n_forests = PyObject_Length(first);
    self->n_hung = PyObject_Length(rows);
    if (nodes < 0 || self->n_trees < 0 || self->n_forests < 0 || self->n_hung < 0)
        return -1;
    self->sums = PyMem_Malloc((self->n_forests ? self->n_forests : 1) * sizeof(double));
    if (self->sums == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (take((void **)&self->roots, roots, self->n_trees, 8) < 0
        || take((void **)&self->first, first, self->n_forests, 8) < 0
        || take((void **)&self->rows, rows, self->n_hung, 8) < 0
        || take((void **)&self->forest, forest, self->n_hung, 8) < 0
        || take((void **)&self->scale, scale, self->n_hung, 8) < 0)
        return -1;
    int fits = lay(self, feature, threshold, child, value, nodes);
    if (fits < 1) {
        if (fits == 0)
            goto bad;
        return -1;
    }
    for (Py_ssize_t i = 0; i < self->n_trees; i++)
        if (self->roots[i] < 0 || self->roots[i] >= nodes)
            goto bad;
    for (Py_ssize_t i = 0; i < self->n_forests; i++)
        if (self->first[i] < (i ? self->first[i - 1] + 1 : 0) || self->first[i] >= self->n_trees)
            goto bad;
    for (Py_ssize_t i = 0; i < self->n_hung; i++)
        if (self->rows[i] < 0 || self->rows[i] >= self->models || self->forest[i] < 0
            || self->forest[i] >= self->n_forests)
            goto bad;
    return 0;
bad:
    PyErr_SetString(PyExc_ValueError, "the trees cannot be walked");
    return -1;
}

static int places_within(const int64_t *pairs, Py_ssize_t n, Py_ssize_t columns)
{
    for (Py_ssize_t i = 0; i < n; i++)
        if (pairs[2 * i] < 0 || pairs[2 * i + 1] < 0 || pairs[2 * i + 1] + 1 >= columns + 1)
            return 0;
    return 1;
}

static PyObject *scoring_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(named))
{
    PyObject *numbers, *moments, *text_places, *texts, *weights, *bias, *gains, *anyways, *constant, *cost, *trees;
    Py_ssize_t columns, models, actions;
    if (!PyArg_ParseTuple(args, "nnnOOOO!OOOOOOO", &columns, &models, &actions, &numbers, &moments, &text_places,
                          &PyTuple_Type, &texts, &weights, &bias, &gains, &anyways, &constant, &cost, &trees))
        return NULL;
    if (columns < 0 || models < 0 || actions < 0 || (models && columns > PY_SSIZE_T_MAX / 8 / models)) {
        PyErr_SetString(PyExc_ValueError, "the shapes do not fit together");
        return NULL;
    }
    Scoring *self = (Scoring *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->columns = columns, self->models = models, self->actions = actions;
    self->n_numbers = PyObject_Length(numbers) / 2;
    self->n_moments = PyObject_Length(moments) / 2;
    self->n_texts = PyTuple_GET_SIZE(texts);
    Py_INCREF(texts);
    self->texts = texts;
    self->x = PyMem_Malloc((columns + 1) * sizeof(double));
    self->known = PyMem_Malloc((columns + 1) * sizeof(int32_t));
    if (self->x == NULL || self->known == NULL) {
        PyErr_NoMemory();
        goto failed;
    }
    if (take((void **)&self->numbers, numbers, 2 * self->n_numbers, 8) < 0
        || take((void **)&self->moments, moments, 2 * self->n_moments, 8) < 0
        || take((void **)&self->text_places, text_places, 2 * self->n_texts, 8) < 0
        || take((void **)&self->weights, weights, columns * models, 8) < 0
        || take((void **)&self->bias, bias, models, 8) < 0 || take((void **)&self->gains, gains, actions, 8) < 0
        || (anyways != Py_None && take((void **)&self->anyways, anyways, actions, 8) < 0)
        || take((void **)&self->constant, constant, actions, 8) < 0
        || take((void **)&self->cost, cost, actions, 8) < 0 || (trees != Py_None && hang(self, trees) < 0))
        goto failed;
    if (!places_within(self->numbers, self->n_numbers, columns - 1)
        || !places_within(self->moments, self->n_moments, columns - 1)
        || !places_within(self->text_places, self->n_texts, columns)
        || (models != 0 && models < (self->anyways ? 2 : 1) * actions)) {
        PyErr_SetString(PyExc_ValueError, "the shapes do not fit together");
        goto failed;
    }
    return (PyObject *)self;
failed:
    Py_DECREF(self);
    return NULL;
}

/* The days from a moment that is further away than doubles count milliseconds; -1 with an exception. */
static int long_ago(PyObject *moment, int64_t now_ms, double *days)
{
    PyObject *now = PyLong_FromLongLong(now_ms), *day = PyLong_FromLong(86400000), *passed = NULL, *found = NULL;
    if (now != NULL && day != NULL && (passed = PyNumber_Subtract(now, moment)) != NULL)
        found = PyNumber_TrueDivide(passed, day);
    if (found != NULL)
        *days = PyFloat_AsDouble(found);
    Py_XDECREF(now);
    Py_XDECREF(day);
    Py_XDECREF(passed);
    Py_XDECREF(found);
    return found == NULL ? -1 : 0;
}

/* Write a context into the row; -1 with an exception. */
static int encode(Scoring *self, PyObject *values, int64_t now_ms)
{
    double *x = self->x;
    Py_ssize_t size = PyTuple_GET_SIZE(values);
    memset(x, 0, self->columns * sizeof(double));
    for (Py_ssize_t i = 0; i < self->n_numbers; i++) {
        int64_t place = self->numbers[2 * i], column = self->numbers[2 * i + 1];
        if (place >= size)
            goto few;
        PyObject *value = PyTuple_GET_ITEM(values, place);
        double number = NAN;
        if (PyFloat_CheckExact(value))
            number = PyFloat_AS_DOUBLE(value);
        else if (value != Py_None) {
            number = PyFloat_AsDouble(value);
            if (number == -1.0 && PyErr_Occurred()) {
                if (!PyErr_ExceptionMatches(PyExc_OverflowError))
                    return -1;
                PyErr_Clear();
                number = NAN;
            }
        }
        if (-LIMIT < number && number < LIMIT)
            x[column] = number;
        else
            x[column + 1] = 1.0;
    }
    for (Py_ssize_t i = 0; i < self->n_moments; i++) {
        int64_t place = self->moments[2 * i], column = self->moments[2 * i + 1];
        if (place >= size)
            goto few;
        PyObject *value = PyTuple_GET_ITEM(values, place);
        double days = NAN;
        if (value != Py_None) {
            int overflow = 0;
            long long moment = PyLong_AsLongLongAndOverflow(value, &overflow);
            if (moment == -1 && PyErr_Occurred())
                return -1;
            if (!overflow && fabs((double)moment) <= EXACT / 2 && fabs((double)now_ms) <= EXACT / 2)
                days = (double)(now_ms - moment) / DAY_MS;
            else if (long_ago(value, now_ms, &days) < 0)
                return -1;
        }
        if (-LIMIT < days && days < LIMIT)
            x[column] = days;
        else
            x[column + 1] = 1.0;
    }
    for (Py_ssize_t i = 0; i < self->n_texts; i++) {
        int64_t place = self->text_places[2 * i], column = self->text_places[2 * i + 1];
        if (place >= size)
            goto few;
        PyObject *found = PyDict_GetItemWithError(PyTuple_GET_ITEM(self->texts, i), PyTuple_GET_ITEM(values, place));
        if (found != NULL)
            column = PyLong_AsLongLong(found);
        else if (PyErr_Occurred())
            return -1;
        if (column < 0 || column >= self->columns)
            goto few;
        x[column] = 1.0;
    }
    return 0;
few:
    PyErr_SetString(PyExc_IndexError, "the values are not those of the schema");
    return -1;
}

/* Add the weights of the columns that are known to the biases, column by column, 32 models at a time: their sums stay
   where the processor adds. */
WIDE static void add_columns(const double *weights, Py_ssize_t models, const double *bias, const double *x,
                             const int32_t *known, Py_ssize_t n_known, double *z)
{
    Py_ssize_t i = 0;
    for (; i + 32 <= models; i += 32) {
        const Four *b = (const Four *)(bias + i);
        Four s0 = b[0], s1 = b[1], s2 = b[2], s3 = b[3], s4 = b[4], s5 = b[5], s6 = b[6], s7 = b[7];
        for (Py_ssize_t k = 0; k < n_known; k++) {
            const Four *w = (const Four *)(weights + known[k] * models + i);
            Four by = each(x[known[k]]);
            s0 += w[0] * by, s1 += w[1] * by, s2 += w[2] * by, s3 += w[3] * by;
            s4 += w[4] * by, s5 += w[5] * by, s6 += w[6] * by, s7 += w[7] * by;
        }
        Four *sums = (Four *)(z + i);
        sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3, sums[4] = s4, sums[5] = s5, sums[6] = s6, sums[7] = s7;
    }
    if (i == models)
        return;
    memcpy(z + i, bias + i, (models - i) * sizeof(double));
    for (Py_ssize_t k = 0; k < n_known; k++) {
        const double *w = weights + known[k] * models, by = x[known[k]];
        for (Py_ssize_t m = i; m < models; m++)
            z[m] += w[m] * by;
    }
}

/* Walk each tree, one forest after the other, and hang what they say on the models. */
static void walk(const Scoring *self, double *z)
{
    const Node *nodes = self->nodes;
    for (Py_ssize_t f = 0; f < self->n_forests; f++) {
        Py_ssize_t end = f + 1 < self->n_forests ? self->first[f + 1] : self->n_trees;
        double sum = 0.0;
        for (Py_ssize_t t = self->first[f]; t < end; t++) {
            int32_t at = (int32_t)self->roots[t];
            while (nodes[at].child != at)
                at = nodes[at].child + (self->x[nodes[at].feature] > nodes[at].number);
            sum += nodes[at].number;
        }
        self->sums[f] = sum;
    }
    for (Py_ssize_t j = 0; j < self->n_hung; j++)
        z[self->rows[j]] += self->scale[j] * self->sums[self->forest[j]];
}

static void lean(const Scoring *self, double *z)
{
    Py_ssize_t n_known = 0;
    for (Py_ssize_t j = 0; j < self->columns; j++)
        if (self->x[j] != 0.0)
            self->known[n_known++] = (int32_t)j;
    add_columns(self->weights, self->models, self->bias, self->x, self->known, n_known, z);
    walk(self, z);
    tanh_all(z, self->models);
}

static int weigh(const Scoring *self, double *restrict net, PyObject *factors)
{
    Py_ssize_t n = self->actions, count = PyList_GET_SIZE(factors);
    if (count == 0)
        return 0;
    for (Py_ssize_t i = 0; i < n; i++)
        net[i] += self->cost[i];
    for (Py_ssize_t f = 0; f < count; f++) {
        Py_buffer view;
        if (held(PyList_GET_ITEM(factors, f), &view, n, 8, 0) < 0)
            return -1;
        const double *by = view.buf;
        for (Py_ssize_t i = 0; i < n; i++)
            net[i] *= by[i];
        PyBuffer_Release(&view);
    }
    for (Py_ssize_t i = 0; i < n; i++)
        net[i] -= self->cost[i];
    return 0;
}

static void add_up(const Scoring *self, const double *restrict z, double *restrict net)
{
    Py_ssize_t n = self->actions;
    if (self->models == 0) {
        memcpy(net, self->constant, n * sizeof(double));
        return;
    }
    for (Py_ssize_t i = 0; i < n; i++)
        net[i] = z[i] * self->gains[i];
    if (self->anyways != NULL)
        for (Py_ssize_t i = 0; i < n; i++)
            net[i] -= z[n + i] * self->anyways[i];
    for (Py_ssize_t i = 0; i < n; i++)
        net[i] += self->constant[i];
}

static PyObject *bits_above_zero(const double *net, Py_ssize_t n)
{
    PyObject *bits = PyBytes_FromStringAndSize(NULL, (n + 7) / 8);
    if (bits == NULL)
        return NULL;
    char *byte = PyBytes_AS_STRING(bits);
    memset(byte, 0, (n + 7) / 8);
    for (Py_ssize_t i = 0; i < n; i++)
        if (net[i] > 0.0)
            byte[i >> 3] |= (char)(1 << (i & 7));
    return bits;
}

static PyObject *scoring_score(Scoring *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 6 || !PyTuple_CheckExact(args[0]) || !PyList_CheckExact(args[2])) {
        PyErr_SetString(PyExc_TypeError, "score(values: tuple, now_ms, factors: list, x, lean, net)");
        return NULL;
    }
    long long now_ms = PyLong_AsLongLong(args[1]);
    if (now_ms == -1 && PyErr_Occurred())
        return NULL;
    if (encode(self, args[0], now_ms) < 0)
        return NULL;
    Py_buffer x, z, net;
    PyObject *bits = NULL;
    if (args[3] != Py_None) {
        if (held(args[3], &x, self->columns, 8, PyBUF_WRITABLE) < 0)
            return NULL;
        memcpy(x.buf, self->x, self->columns * sizeof(double));
        PyBuffer_Release(&x);
    }
    if (held(args[4], &z, self->models, 8, PyBUF_WRITABLE) < 0)
        return NULL;
    if (held(args[5], &net, self->actions, 8, PyBUF_WRITABLE) == 0) {
        if (self->models)
            lean(self, z.buf);
        add_up(self, z.buf, net.buf);
        if (weigh(self, net.buf, args[2]) == 0)
            bits = bits_above_zero(net.buf, self->actions);
        PyBuffer_Release(&net);
    }
    PyBuffer_Release(&z);
    return bits;
}

static PyObject *scoring_lean(Scoring *self, PyObject *const *args, Py_ssize_t nargs)
{
    Py_buffer x, z;
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "lean(x, lean)");
        return NULL;
    }
    if (held(args[0], &x, self->columns, 8, 0) < 0)
        return NULL;
    memcpy(self->x, x.buf, self->columns * sizeof(double));
    PyBuffer_Release(&x);
    if (held(args[1], &z, self->models, 8, PyBUF_WRITABLE) < 0)
        return NULL;
    lean(self, z.buf);
    PyBuffer_Release(&z);
    Py_RETURN_NONE;
}

static PyMethodDef scoring_methods[] = {
    {"lean", (PyCFunction)(void (*)(void))scoring_lean, METH_FASTCALL, "Score one row of columns."},
    {"score", (PyCFunction)(void (*)(void))scoring_score, METH_FASTCALL, "Score all actions for one context."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject ScoringType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "models._kernel.Scoring",
    .tp_basicsize = sizeof(Scoring),
    .tp_dealloc = (destructor)scoring_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Scores all actions of a strategy with its models, for one context at a time.",
    .tp_methods = scoring_methods,
    .tp_new = scoring_new,
};

/* ---------------------------------------------------------------------------------------------------------- ranking */

typedef struct { double net; Py_ssize_t index; } Ranked;

static int better_first(const void *a, const void *b)
{
    const Ranked *one = a, *other = b;
    if (one->net != other->net)
        return one->net > other->net ? -1 : 1;
    return one->index < other->index ? -1 : 1;
}

/* Order the best of a mask, and all that equal the last of them; return how many, and whether any are equal. `ranked`
   has room for all. What is no number is lowest. */
static Py_ssize_t top(const double *net, Py_ssize_t n, PyObject *among, Py_ssize_t most, Ranked *ranked, int *tied)
{
    const unsigned char *mask = (const unsigned char *)PyBytes_AS_STRING(among);
    Py_ssize_t found = 0, kept, bytes = PyBytes_GET_SIZE(among);
    n = n < 8 * bytes ? n : 8 * bytes;
    /* Only what can still be among the first few is kept, in order, where few are wanted. */
    int few = most <= 16;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (!(mask[i >> 3] >> (i & 7) & 1)) {
            if (mask[i >> 3] == 0)
                i |= 7;
            continue;
        }
        double value = net[i] == net[i] ? net[i] : -INFINITY;
        if (few && found >= most && (most == 0 || value < ranked[most - 1].net))
            continue;
        Py_ssize_t at = found++;
        if (few)
            for (; at > 0 && ranked[at - 1].net < value; at--)
                ranked[at] = ranked[at - 1];
        ranked[at].net = value;
        ranked[at].index = i;
        if (few && found > most) /* drop what has fallen behind the last that counts */
            while (found > most && ranked[found - 1].net < ranked[most - 1].net)
                found--;
    }
    if (!few)
        qsort(ranked, found, sizeof(Ranked), better_first);
    kept = found < most ? found : most;
    while (kept > 0 && kept < found && ranked[kept].net == ranked[kept - 1].net)
        kept++;
    *tied = 0;
    for (Py_ssize_t i = 1; i < kept; i++)
        *tied |= ranked[i].net == ranked[i - 1].net;
    return kept;
}

/* best(net, mask, most) -> (indexes, tied): the best of a mask, and all that equal the last of them. */
static PyObject *best(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !PyBytes_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "best(net, mask: bytes, most)");
        return NULL;
    }
    Py_ssize_t most = PyLong_AsSsize_t(args[2]);
    if (most < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "there cannot be less than none");
        return NULL;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(args[0], &view, PyBUF_C_CONTIGUOUS) < 0)
        return NULL;
    Py_ssize_t n = view.len / (Py_ssize_t)sizeof(double);
    Ranked *ranked = PyMem_Malloc((n ? n : 1) * sizeof(Ranked));
    if (ranked == NULL) {
        PyBuffer_Release(&view);
        return PyErr_NoMemory();
    }
    int tied;
    Py_ssize_t kept = top(view.buf, n, args[1], most, ranked, &tied);
    PyBuffer_Release(&view);
    PyObject *order = PyList_New(kept);
    for (Py_ssize_t i = 0; order != NULL && i < kept; i++) {
        PyObject *index = PyLong_FromSsize_t(ranked[i].index);
        if (index == NULL) {
            Py_CLEAR(order);
            break;
        }
        PyList_SET_ITEM(order, i, index);
    }
    PyMem_Free(ranked);
    if (order == NULL)
        return NULL;
    return Py_BuildValue("(NO)", order, tied ? Py_True : Py_False);
}

/* ------------------------------------------------------------------------------------------------------- candidates */

#define FEW 16

typedef struct {
    PyObject_HEAD
    PyObject *candidate, *names;
    Py_ssize_t actions;
    unsigned char *modelled, *baselines; /* a flag for each action */
    double *priors;
    double explore;
    Ranked *ranked;                      /* room to work in */
} Ranker;

static void ranker_dealloc(Ranker *self)
{
    PyMem_Free(self->modelled);
    PyMem_Free(self->baselines);
    PyMem_Free(self->priors);
    PyMem_Free(self->ranked);
    Py_XDECREF(self->candidate);
    Py_XDECREF(self->names);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *ranker_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(named))
{
    PyObject *candidate, *names, *modelled, *baselines, *priors;
    double explore;
    if (!PyArg_ParseTuple(args, "OO!OOOd", &candidate, &PyTuple_Type, &names, &modelled, &baselines, &priors, &explore))
        return NULL;
    Ranker *self = (Ranker *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->candidate = Py_NewRef(candidate), self->names = Py_NewRef(names);
    self->actions = PyTuple_GET_SIZE(names), self->explore = explore;
    self->ranked = PyMem_Malloc((self->actions + 1) * sizeof(Ranked));
    if (self->ranked == NULL)
        PyErr_NoMemory();
    else if (take((void **)&self->modelled, modelled, self->actions, 1) == 0
             && take((void **)&self->baselines, baselines, self->actions, 1) == 0
             && take((void **)&self->priors, priors, self->actions, 8) == 0)
        return (PyObject *)self;
    Py_DECREF(self);
    return NULL;
}

static double chance(double lean)
{
    return (1.0 + lean) / 2.0;
}

/* One candidate; `lean` holds what the models say, those of the baselines behind. */
static PyObject *told(const Ranker *self, Ranked one, const double *lean, double probability, int preferred)
{
    Py_ssize_t i = one.index;
    PyObject *fields[] = {
        PyTuple_GET_ITEM(self->names, i),
        PyFloat_FromDouble(self->modelled[i] ? chance(lean[i]) : self->priors[i]),
        self->baselines[i] ? PyFloat_FromDouble(chance(lean[self->actions + i])) : Py_NewRef(Py_None),
        PyFloat_FromDouble(one.net), PyFloat_FromDouble(probability), preferred ? Py_True : Py_False, Py_None, Py_False,
    };
    PyObject *made = NULL;
    if (fields[1] != NULL && fields[2] != NULL && fields[3] != NULL && fields[4] != NULL)
        made = PyObject_Vectorcall(self->candidate, fields, sizeof fields / sizeof *fields, NULL);
    for (int f = 1; f <= 4; f++)
        Py_XDECREF(fields[f]);
    return made;
}

/* Whether the leans are there of all models that the candidates need. */
static int all_said(const Ranker *self, const Ranked *ranked, Py_ssize_t kept, Py_ssize_t leans)
{
    for (Py_ssize_t k = 0; k < kept; k++) {
        Py_ssize_t i = ranked[k].index;
        if ((self->modelled[i] && i >= leans) || (self->baselines[i] && self->actions + i >= leans))
            return 0;
    }
    return 1;
}

/* candidates(lean, net, pool, rest, most, preferred) -> a tuple, or None where two are worth the same. */
static PyObject *ranker_candidates(Ranker *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 6 || !PyBytes_CheckExact(args[2]) || !PyBytes_CheckExact(args[3])) {
        PyErr_SetString(PyExc_TypeError, "candidates(lean, net, pool: bytes, rest: bytes, most, preferred)");
        return NULL;
    }
    Py_ssize_t most = PyLong_AsSsize_t(args[4]), size = 0;
    int preferred = PyObject_IsTrue(args[5]), tied, more_tied = 0;
    if ((most == -1 && PyErr_Occurred()) || preferred < 0)
        return NULL;
    if (most < 1 || most > FEW)
        Py_RETURN_NONE;
    Py_buffer lean, net;
    if (held(args[1], &net, self->actions, 8, 0) < 0)
        return NULL;
    if (PyObject_GetBuffer(args[0], &lean, PyBUF_C_CONTIGUOUS) < 0) {
        PyBuffer_Release(&net);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyBytes_GET_SIZE(args[2]); i++)
        size += __builtin_popcount((unsigned char)PyBytes_AS_STRING(args[2])[i]);
    Py_ssize_t first = top(net.buf, self->actions, args[2], most, self->ranked, &tied), kept = first;
    Ranked best[2 * FEW];
    PyObject *found = NULL;
    if (!tied) {
        memcpy(best, self->ranked, first * sizeof(Ranked));
        if (first < most) {
            Py_ssize_t more = top(net.buf, self->actions, args[3], most - first, self->ranked, &more_tied);
            if (!more_tied) {
                memcpy(best + first, self->ranked, more * sizeof(Ranked));
                kept += more;
            }
        }
    }
    if (tied || more_tied)
        found = Py_NewRef(Py_None);
    else if (!all_said(self, best, kept, lean.len / (Py_ssize_t)sizeof(double)))
        PyErr_SetString(PyExc_IndexError, "the leans are not those of these actions");
    else
        found = PyTuple_New(kept);
    double share = size > 1 ? self->explore / (double)size : 0.0, rest = size > 1 ? 1.0 - self->explore : 1.0;
    for (Py_ssize_t k = 0; k < kept && found != NULL && found != Py_None; k++) {
        double probability = (k < first ? share : 0.0) + (k == 0 ? rest : 0.0);
        PyObject *one = told(self, best[k], lean.buf, probability, preferred && k < first);
        if (one == NULL)
            Py_CLEAR(found);
        else
            PyTuple_SET_ITEM(found, k, one);
    }
    PyBuffer_Release(&lean);
    PyBuffer_Release(&net);
    return found;
}

static PyMethodDef ranker_methods[] = {
    {"candidates", (PyCFunction)(void (*)(void))ranker_candidates, METH_FASTCALL, "Rank what is worth saying."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject RankerType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "models._kernel.Ranker",
    .tp_basicsize = sizeof(Ranker),
    .tp_dealloc = (destructor)ranker_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Makes the candidates of a placement from what the actions of a strategy are worth.",
    .tp_methods = ranker_methods,
    .tp_new = ranker_new,
};

/* ---------------------------------------------------------------------------------------------------------- reading */

enum { CALLED, PLAIN_BOOL, PLAIN_INT, PLAIN_STR, NUMBER, TOTAL, DAYS, OPEN, DISTINCT, WINDOW_COUNT, WINDOW_SUM, RATE, DECAY, KINDS };
enum { TAG_SINCE, TAG_WINDOW, TAG_RECENT, TAG_DISTINCT, TAG_OPEN, TAG_DECAY };

typedef struct {
    Py_ssize_t index;
    int kind;
    double longest_ms, times; /* times: what a rate multiplies a count by */
    int64_t window_ms, keep, half_life_ms;
    PyObject *look;
} Look;

typedef struct {
    PyObject_HEAD
    Py_ssize_t n;
    int16_t *of_key; /* the place of a field key in `looks`, -1 for none; 65,536 of them */
    Look *looks;
} Looks;

static void looks_dealloc(Looks *self)
{
    for (Py_ssize_t i = 0; self->looks != NULL && i < self->n; i++)
        Py_XDECREF(self->looks[i].look);
    PyMem_Free(self->looks);
    PyMem_Free(self->of_key);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *looks_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(named))
{
    PyObject *rows;
    if (!PyArg_ParseTuple(args, "O!", &PyTuple_Type, &rows))
        return NULL;
    Looks *self = (Looks *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    Py_ssize_t n = PyTuple_GET_SIZE(rows);
    self->of_key = PyMem_Malloc(65536 * sizeof(int16_t));
    self->looks = PyMem_Calloc(n ? n : 1, sizeof(Look));
    if (self->of_key == NULL || self->looks == NULL || n > 32767) {
        PyErr_SetString(PyExc_MemoryError, "too many fields");
        Py_DECREF(self);
        return NULL;
    }
    memset(self->of_key, 0xff, 65536 * sizeof(int16_t));
    for (Py_ssize_t i = 0; i < n; i++) {
        Look *look = &self->looks[i];
        int key;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(rows, i), "inidLLLdO", &key, &look->index, &look->kind,
                              &look->longest_ms, &look->window_ms, &look->keep, &look->half_life_ms, &look->times,
                              &look->look)) {
            look->look = NULL;
            Py_DECREF(self);
            return NULL;
        }
        Py_INCREF(look->look);
        self->n = i + 1;
        if (key < 0 || key > 65535 || look->kind < 0 || look->kind >= KINDS || look->index < 0) {
            PyErr_SetString(PyExc_ValueError, "a field has no such key, kind or place");
            Py_DECREF(self);
            return NULL;
        }
        self->of_key[key] = (int16_t)i;
    }
    return (PyObject *)self;
}

/* One item of msgpack: what it is, and where what follows begins. */
typedef struct { char type; int64_t whole; double real; const unsigned char *text; int64_t size; } Item;

/* Read the head of an item at *at; 0 for what is not read here. 'n'il, 'b'ool, 'i'nt, 'f'loat, 's'tr (ASCII), 'a'rray. */
static int item(const unsigned char **at, const unsigned char *end, Item *found)
{
    const unsigned char *p = *at;
    if (p >= end)
        return 0;
    unsigned char code = *p++;
    int64_t wide = 0;
    int bytes = 0;
    if (code < 0x80) {
        found->type = 'i', found->whole = code;
    } else if (code >= 0xe0) {
        found->type = 'i', found->whole = (int64_t)code - 256;
    } else if (code >= 0xa0 && code < 0xc0) {
        found->type = 's', found->size = code & 31;
    } else if (code >= 0x90 && code < 0xa0) {
        found->type = 'a', found->size = code & 15;
    } else {
        switch (code) {
        case 0xc0: found->type = 'n'; break;
        case 0xc2: case 0xc3: found->type = 'b', found->whole = code & 1; break;
        case 0xca: found->type = 'f', bytes = 4; break; /* the store packs what fits as a single */
        case 0xcb: found->type = 'f', bytes = 8; break;
        case 0xcc: case 0xd0: found->type = 'i', bytes = 1; break;
        case 0xcd: case 0xd1: found->type = 'i', bytes = 2; break;
        case 0xce: case 0xd2: found->type = 'i', bytes = 4; break;
        case 0xcf: case 0xd3: found->type = 'i', bytes = 8; break;
        case 0xd9: found->type = 's', bytes = 1; break;
        case 0xda: found->type = 's', bytes = 2; break;
        case 0xdc: found->type = 'a', bytes = 2; break;
        default: return 0;
        }
        if (end - p < bytes)
            return 0;
        uint64_t bits = 0;
        for (int i = 0; i < bytes; i++)
            bits = bits << 8 | *p++;
        wide = (int64_t)bits;
        if (found->type == 'f' && bytes == 4) {
            uint32_t half = (uint32_t)bits;
            float single;
            memcpy(&single, &half, 4);
            found->real = single;
        } else if (found->type == 'f') {
            memcpy(&found->real, &bits, 8);
        } else if (found->type == 'i') {
            if (code == 0xcf && wide < 0)
                return 0;
            int up = 64 - 8 * bytes; /* signed ones carry their sign */
            found->whole = code >= 0xd0 ? (int64_t)(bits << up) >> up : wide;
        } else if (bytes) {
            found->size = wide;
        }
    }
    if (found->type == 's') {
        if (end - p < found->size)
            return 0;
        found->text = p;
        for (int64_t i = 0; i < found->size; i++)
            if (p[i] & 0x80)
                return 0;
        p += found->size;
    }
    *at = p;
    return 1;
}

/* Step over an item with all that is in it; 0 for what is not read here. */
static int skip(const unsigned char **at, const unsigned char *end, int deep)
{
    Item found;
    if (deep > 4 || !item(at, end, &found))
        return 0;
    if (found.type == 'a')
        for (int64_t i = 0; i < found.size; i++)
            if (!skip(at, end, deep + 1))
                return 0;
    return 1;
}

/* Make the Python object of an item that `skip` has stepped over before. */
static PyObject *object(const unsigned char **at, const unsigned char *end)
{
    Item found;
    if (!item(at, end, &found))
        Py_RETURN_NONE;
    switch (found.type) {
    case 'b': return PyBool_FromLong((long)found.whole);
    case 'i': return PyLong_FromLongLong(found.whole);
    case 'f': return PyFloat_FromDouble(found.real);
    case 's': return PyUnicode_DecodeASCII((const char *)found.text, found.size, NULL);
    case 'a': break;
    default: Py_RETURN_NONE;
    }
    PyObject *list = PyList_New(found.size);
    for (int64_t i = 0; list != NULL && i < found.size; i++) {
        PyObject *one = object(at, end);
        if (one == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, one);
    }
    return list;
}

static PyObject *none(void) { Py_RETURN_NONE; }

static PyObject *called(const Look *look, int64_t t, int64_t now_ms, const unsigned char *at, const unsigned char *end)
{
    PyObject *kept = object(&at, end);
    if (kept == NULL)
        return NULL;
    PyObject *value = PyObject_CallFunction(look->look, "LOL", (long long)t, kept, (long long)now_ms);
    Py_DECREF(kept);
    return value;
}

static int whole(const unsigned char **at, const unsigned char *end, int64_t *number)
{
    Item found;
    if (!item(at, end, &found) || found.type != 'i' || fabs((double)found.whole) >= EXACT)
        return 0;
    *number = found.whole;
    return 1;
}

/* What a list with the wanted tag says; NULL without an exception for what the Python code is to be asked about. */
static PyObject *counted(const Look *look, int64_t t, int64_t now_ms, const unsigned char *at, const unsigned char *end,
                         int64_t size)
{
    int64_t tag, one, other, number = 0, until = t - now_ms, from = until + look->window_ms;
    static const int64_t tags[KINDS] = {[DAYS] = TAG_SINCE, [OPEN] = TAG_OPEN, [DISTINCT] = TAG_DISTINCT,
        [WINDOW_COUNT] = TAG_WINDOW, [WINDOW_SUM] = TAG_WINDOW, [RATE] = TAG_WINDOW, [DECAY] = TAG_DECAY};
    if (size == 0 || !whole(&at, end, &tag) || tag != tags[look->kind])
        return NULL;
    switch (look->kind) {
    case DAYS:
        return size == 1 ? PyFloat_FromDouble((double)(now_ms - t) / DAY_MS) : NULL;
    case DISTINCT:
        return PyLong_FromLongLong(size / 2);
    case OPEN:
        if ((size - 1) % 3)
            return NULL;
        for (int64_t i = 0; i < (size - 1) / 3; i++) {
            if (!skip(&at, end, 1) || !whole(&at, end, &one) || !whole(&at, end, &other))
                return NULL;
            number += other == -1 || (one != -1 && one <= other);
        }
        return PyLong_FromLongLong(number);
    case WINDOW_COUNT: case WINDOW_SUM: case RATE:
        if ((size - 1) % 2)
            return NULL;
        for (int64_t i = 0; i < (size - 1) / 2; i++) {
            if (!whole(&at, end, &one) || !whole(&at, end, &other))
                return NULL;
            if (i == 0 && (size - 1) / 2 >= look->keep && one <= from)
                return none();
            if (until < one && one <= from)
                number += look->kind == WINDOW_SUM ? other : 1;
            if (fabs((double)number) >= EXACT)
                return NULL;
        }
        if (look->kind == WINDOW_COUNT)
            return PyLong_FromLongLong(number);
        return PyFloat_FromDouble(look->kind == RATE ? (double)number * look->times : (double)number / 1e6);
    case DECAY: {
        int64_t half_life;
        double total = 0.0;
        if (size % 2 || size < 2 || t < 0 || look->half_life_ms <= 0 || !whole(&at, end, &half_life)
            || half_life != look->half_life_ms)
            return NULL;
        for (int64_t i = 0; i < (size - 2) / 2; i++) {
            if (!whole(&at, end, &one) || !whole(&at, end, &other) || other < 0)
                return NULL;
            total += ldexp((double)one, other > 4000 ? -4000 : -(int)other);
        }
        double since = (double)(t - t % half_life - (now_ms > t ? now_ms : t)) / (double)half_life;
        return PyFloat_FromDouble(total * pow(2.0, since) / 1e6);
    }
    default:
        return NULL;
    }
}

static PyObject *value_of(const Look *look, int64_t t, int64_t now_ms, const unsigned char *at,
                          const unsigned char *end)
{
    const unsigned char *begin = at;
    Item kept;
    item(&at, end, &kept);
    int fresh = (double)(now_ms - t) <= look->longest_ms;
    switch (look->kind) {
    case PLAIN_BOOL:
        return kept.type == 'b' && fresh ? PyBool_FromLong((long)kept.whole) : none();
    case PLAIN_INT:
        return kept.type == 'i' && fresh ? PyLong_FromLongLong(kept.whole) : none();
    case PLAIN_STR:
        return kept.type == 's' && fresh ? PyUnicode_DecodeASCII((const char *)kept.text, kept.size, NULL) : none();
    case NUMBER:
        if (!fresh || (kept.type == 'f' && !isfinite(kept.real)) || (kept.type != 'f' && kept.type != 'i'))
            return none();
        return PyFloat_FromDouble(kept.type == 'f' ? kept.real : (double)kept.whole);
    case TOTAL:
        if (!fresh || kept.type != 'i')
            return none();
        if (fabs((double)kept.whole) >= EXACT)
            break;
        return PyFloat_FromDouble((double)kept.whole / 1e6);
    case CALLED:
        break;
    default:
        if (!fresh || kept.type != 'a')
            return none();
        PyObject *found = counted(look, t, now_ms, at, end, kept.size);
        if (found != NULL || PyErr_Occurred())
            return found;
    }
    return called(look, t, now_ms, begin, end);
}

/* fill(values: list, group: bytes, now_ms) -> bool: False, with nothing filled in, for what is not read here. */
static PyObject *looks_fill(Looks *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !PyList_CheckExact(args[0]) || !PyBytes_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "fill(values: list, group: bytes, now_ms)");
        return NULL;
    }
    int64_t now_ms = PyLong_AsLongLong(args[2]);
    if (now_ms == -1 && PyErr_Occurred())
        return NULL;
    const unsigned char *group = (const unsigned char *)PyBytes_AS_STRING(args[1]);
    const unsigned char *end = group + PyBytes_GET_SIZE(args[1]);
    if (end - group < 2 || group[0] != 0)
        Py_RETURN_FALSE;
    int n = group[1], dates;
    const unsigned char *keys = group + 2, *places = keys + 2 * n, *at = places + n, *kept[256];
    int64_t times[256], lag, latest = 0;
    Item head;
    if (end - group < 2 + 3 * n || !item(&at, end, &head) || head.type != 'a' || head.size != n + 1)
        Py_RETURN_FALSE;
    if (!item(&at, end, &head) || head.type != 'a' || head.size % 2 || head.size > 512)
        Py_RETURN_FALSE;
    dates = (int)(head.size / 2);
    for (int i = 0; i < dates; i++) {
        int64_t step;
        if (!whole(&at, end, &step) || !whole(&at, end, &lag))
            Py_RETURN_FALSE;
        times[i] = latest += step;
        if (fabs((double)latest) >= EXACT)
            Py_RETURN_FALSE;
    }
    for (int i = 0; i < n; i++) {
        kept[i] = at;
        if (places[i] >= dates || !skip(&at, end, 0))
            Py_RETURN_FALSE;
    }
    if (at != end)
        Py_RETURN_FALSE;
    Py_ssize_t room = PyList_GET_SIZE(args[0]);
    for (int i = 0; i < n; i++) {
        int16_t place = self->of_key[keys[2 * i] << 8 | keys[2 * i + 1]];
        if (place < 0)
            continue;
        const Look *look = &self->looks[place];
        PyObject *value = value_of(look, times[places[i]], now_ms, kept[i], end);
        if (value == NULL)
            return NULL;
        if (look->index >= room) {
            Py_DECREF(value);
            PyErr_SetString(PyExc_IndexError, "the values are not those of the schema");
            return NULL;
        }
        if (PyList_SetItem(args[0], look->index, value) < 0)
            return NULL;
    }
    Py_RETURN_TRUE;
}

static PyMethodDef looks_methods[] = {
    {"fill", (PyCFunction)(void (*)(void))looks_fill, METH_FASTCALL, "Fill in what a group of states says."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject LooksType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "models._kernel.Looks",
    .tp_basicsize = sizeof(Looks),
    .tp_dealloc = (destructor)looks_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Reads the groups of field states of one purpose.",
    .tp_methods = looks_methods,
    .tp_new = looks_new,
};

/* ----------------------------------------------------------------------------------------------------------- module */

static PyMethodDef functions[] = {
    {"best", (PyCFunction)(void (*)(void))best, METH_FASTCALL, "Return the best of a mask, and whether any are tied."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_kernel", .m_doc = "The compiled twin of models.kernel_plainly.", .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made == NULL || PyType_Ready(&ScoringType) < 0 || PyType_Ready(&RankerType) < 0 || PyType_Ready(&LooksType) < 0
        || PyModule_AddObjectRef(made, "Scoring", (PyObject *)&ScoringType) < 0
        || PyModule_AddObjectRef(made, "Ranker", (PyObject *)&RankerType) < 0
        || PyModule_AddObjectRef(made, "Looks", (PyObject *)&LooksType) < 0) {
        Py_XDECREF(made);
        return NULL;
    }
    return made;
}
