/* Reading msgspec structs: each field is a slot at a place of the object that its class tells, and is read there. */

#ifndef TACT_STRUCTS_H
#define TACT_STRUCTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#define MOST_FIELDS 20
#define FIELD(object, layout, place) (*(PyObject **)((char *)(object) + (layout)->at[place]))

typedef struct { PyTypeObject *type; Py_ssize_t at[MOST_FIELDS]; } Layout; /* the type is borrowed */

/* Find the slots of some fields of a class; 0 where one is kept otherwise, -1 with an exception. */
static int laid_out(Layout *layout, PyObject *type, const char *const *names)
{
    if (!PyType_Check(type)) {
        PyErr_SetString(PyExc_TypeError, "a class of structs is asked for");
        return -1;
    }
    layout->type = (PyTypeObject *)type;
    for (int i = 0; names[i] != NULL; i++) {
        PyObject *found = PyObject_GetAttrString(type, names[i]);
        if (found == NULL)
            return -1;
        PyMemberDef *slot = Py_TYPE(found) == &PyMemberDescr_Type ? ((PyMemberDescrObject *)found)->d_member : NULL;
        int is_slot = slot != NULL && slot->type == T_OBJECT_EX;
        layout->at[i] = is_slot ? slot->offset : 0;
        Py_DECREF(found);
        if (!is_slot)
            return 0;
    }
    return 1;
}

static inline int is_struct(PyObject *object, const Layout *layout)
{
    return object != NULL && Py_TYPE(object) == layout->type;
}

static inline int is_text(PyObject *object)
{
    return object != NULL && PyUnicode_CheckExact(object);
}

static inline int is_tuple(PyObject *object)
{
    return object != NULL && PyTuple_CheckExact(object);
}

static inline int same_text(PyObject *one, PyObject *other)
{
    return one == other || PyUnicode_Compare(one, other) == 0;
}

#endif
