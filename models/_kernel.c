/* The compiled twin of models/kernel_plainly.py: the same results to the last bit, in a fraction of the time.

   Every floating point operation is done in the same order as there, one at a time (compile with -ffp-contract=off).
   What the arguments are is told there; what cannot be read here is left to the caller, by a None or an exception. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

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
    void *own = PyMem_Malloc(n * size ? n * size : 1);
    if (own == NULL)
        PyErr_NoMemory();
    else
        memcpy(own, view.buf, n * size);
    PyBuffer_Release(&view);
    return own;
}

/* --------------------------------------------------------------------------------------------------------- logistic */

/* tanh(y) of n values, in place: (e - 1) / (e + 1) with e = exp(2 y), by a Taylor series of degree 13. */
static void tanh_all(double *y, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        double t = y[i] + y[i];
        t = t > 40.0 ? 40.0 : t;
        t = t < -40.0 ? -40.0 : t;
        double k = t * 1.4426950408889634;
        k = (k + 6755399441055744.0) - 6755399441055744.0; /* to the nearest whole number */
        double r = t - k * 0.693145751953125;
        r = r - k * 1.4286068203094172321e-6;
        double p = 1.6059043836821613e-10;
        p = p * r + 2.08767569878681e-09;
        p = p * r + 2.505210838544172e-08;
        p = p * r + 2.7557319223985893e-07;
        p = p * r + 2.7557319223985893e-06;
        p = p * r + 2.48015873015873e-05;
        p = p * r + 0.0001984126984126984;
        p = p * r + 0.001388888888888889;
        p = p * r + 0.008333333333333333;
        p = p * r + 0.041666666666666664;
        p = p * r + 0.16666666666666666;
        p = p * r + 0.5;
        p = p * r + 1.0;
        p = p * r + 1.0;
        union { double d; int64_t i; } shift;
        double power = k + 1023.0; /* -58 <= k <= 58; of what is no number the power does not matter */
        power = power == power ? power : 1023.0;
        shift.d = power + 4503599627370496.0; /* the whole number now stands in the low bits */
        shift.i = shift.i << 52;
        double e = p * shift.d;
        y[i] = (e - 1.0) / (e + 1.0);
    }
}

/* ---------------------------------------------------------------------------------------------------------- scoring */

typedef struct {
    PyObject_HEAD
    Py_ssize_t columns, models, actions;
    Py_ssize_t n_numbers, n_moments, n_texts, n_trees, n_forests, n_hung;
    int64_t *numbers, *moments;       /* (place, column) each */
    int64_t *text_places;             /* (place, column of the unknown) each */
    PyObject *texts;                  /* a dict of columns each */
    double *weights, *bias;           /* (columns, models), (models,) */
    double *gains, *anyways, *constant, *cost; /* (actions,); anyways may be NULL */
    int64_t *feature, *child, *roots, *first, *rows, *forest;
    double *threshold, *value, *scale;
    double *x, *sums;                 /* room to work in */
} Scoring;

static void scoring_dealloc(Scoring *self)
{
    void *own[] = {self->numbers, self->moments, self->text_places, self->weights, self->bias, self->gains,
                   self->anyways, self->constant, self->cost, self->feature, self->child, self->roots, self->first,
                   self->rows, self->forest, self->threshold, self->value, self->scale, self->x, self->sums};
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
    if (take((void **)&self->feature, feature, nodes, 8) < 0 || take((void **)&self->threshold, threshold, nodes, 8) < 0
        || take((void **)&self->child, child, nodes, 8) < 0 || take((void **)&self->value, value, nodes, 8) < 0
        || take((void **)&self->roots, roots, self->n_trees, 8) < 0
        || take((void **)&self->first, first, self->n_forests, 8) < 0
        || take((void **)&self->rows, rows, self->n_hung, 8) < 0
        || take((void **)&self->forest, forest, self->n_hung, 8) < 0
        || take((void **)&self->scale, scale, self->n_hung, 8) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < nodes; i++) /* children stand behind their parents, so every walk ends */
        if (self->feature[i] < 0 || self->feature[i] >= self->columns || self->child[i] < i
            || self->child[i] + (self->child[i] > i) >= nodes)
            goto bad;
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

static PyObject *scoring_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    PyObject *numbers, *moments, *text_places, *texts, *weights, *bias, *gains, *anyways, *constant, *cost, *trees;
    Py_ssize_t columns, models, actions;
    if (!PyArg_ParseTuple(args, "nnnOOOO!OOOOOOO", &columns, &models, &actions, &numbers, &moments, &text_places,
                          &PyTuple_Type, &texts, &weights, &bias, &gains, &anyways, &constant, &cost, &trees))
        return NULL;
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
    if (self->x == NULL) {
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

static void lean(const Scoring *self, double *restrict z)
{
    memcpy(z, self->bias, self->models * sizeof(double));
    for (Py_ssize_t j = 0; j < self->columns; j++) {
        double x = self->x[j];
        if (x == 0.0)
            continue;
        const double *restrict w = self->weights + j * self->models;
        for (Py_ssize_t i = 0; i < self->models; i++)
            z[i] += w[i] * x;
    }
    for (Py_ssize_t f = 0; f < self->n_forests; f++) {
        Py_ssize_t end = f + 1 < self->n_forests ? self->first[f + 1] : self->n_trees;
        double sum = 0.0;
        for (Py_ssize_t t = self->first[f]; t < end; t++) {
            int64_t at = self->roots[t];
            while (self->child[at] != at)
                at = self->child[at] + (self->x[self->feature[at]] > self->threshold[at]);
            sum += self->value[at];
        }
        self->sums[f] = sum;
    }
    for (Py_ssize_t j = 0; j < self->n_hung; j++)
        z[self->rows[j]] += self->scale[j] * self->sums[self->forest[j]];
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

/* best(net, mask, most) -> (indexes, tied): the best of a mask, and all that equal the last of them. */
static PyObject *best(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !PyBytes_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "best(net, mask: bytes, most)");
        return NULL;
    }
    Py_ssize_t most = PyLong_AsSsize_t(args[2]), found = 0, kept, bytes = PyBytes_GET_SIZE(args[1]);
    if (most == -1 && PyErr_Occurred())
        return NULL;
    Py_buffer view;
    if (PyObject_GetBuffer(args[0], &view, PyBUF_C_CONTIGUOUS) < 0)
        return NULL;
    const double *net = view.buf;
    const unsigned char *mask = (const unsigned char *)PyBytes_AS_STRING(args[1]);
    Py_ssize_t n = view.len / (Py_ssize_t)sizeof(double);
    n = n < 8 * bytes ? n : 8 * bytes;
    Ranked *ranked = PyMem_Malloc((n ? n : 1) * sizeof(Ranked));
    if (ranked == NULL) {
        PyBuffer_Release(&view);
        return PyErr_NoMemory();
    }
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
    PyBuffer_Release(&view);
    if (!few)
        qsort(ranked, found, sizeof(Ranked), better_first);
    kept = found < most ? found : most;
    while (kept > 0 && kept < found && ranked[kept].net == ranked[kept - 1].net)
        kept++;
    int tied = 0;
    PyObject *order = PyList_New(kept);
    for (Py_ssize_t i = 0; order != NULL && i < kept; i++) {
        PyObject *index = PyLong_FromSsize_t(ranked[i].index);
        if (index == NULL) {
            Py_CLEAR(order);
            break;
        }
        PyList_SET_ITEM(order, i, index);
        tied |= i > 0 && ranked[i].net == ranked[i - 1].net;
    }
    PyMem_Free(ranked);
    if (order == NULL)
        return NULL;
    return Py_BuildValue("(NO)", order, tied ? Py_True : Py_False);
}

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

static PyObject *looks_new(PyTypeObject *type, PyObject *args, PyObject *named)
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
        PyList_SetItem(args[0], look->index, value);
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
    if (made == NULL || PyType_Ready(&ScoringType) < 0 || PyType_Ready(&LooksType) < 0
        || PyModule_AddObjectRef(made, "Scoring", (PyObject *)&ScoringType) < 0
        || PyModule_AddObjectRef(made, "Looks", (PyObject *)&LooksType) < 0) {
        Py_XDECREF(made);
        return NULL;
    }
    return made;
}
