; Launching a compiled kernel: one function, driven by tables that launcher.py fills.
;
; @launch is a method of CPython (METH_FASTCALL | METH_KEYWORDS). It looks for a record that describes this very call: as many
; arguments, the same keywords, nothing changed that the kernel was compiled under, every argument of the kind the record
; expects. Then it packs the arguments and runs the kernel. If no record does, the slow path answers, in Python.
;
; What a call passes is read in arguments.ll, which belongs to this module.

%Launcher = type { ptr, ptr, ptr }                            ; first record, slow path, where the epoch is kept
%Record = type { ptr, i64, i64, ptr, i64, i64, ptr, i64, ptr, [3 x i64], i64, i64, ptr, i64, i64, ptr, ptr, ptr, ptr, i64, i64 }
;                next |    |    |    |    |    |    |    |    grid       |    |    |    |    |    |    what a launch returns; then of the
;                                                                       |    |    |    |    |    |    pool: spread (pool.ll) or null, it-
;                                                                       |    |    |    |    |    |    self, threads, and the last pace
;                     positional |    |    |    |    |    |    |          |    |    |    |    |    run(address of arguments) in Python
;                          keywords   |    |    |    |    |    |          |    |    |    |    key of a thread's arena
;                               their names|    |    |    |    |          |    |    |    scratch it needs, in bytes
;                                    epoch |    |    |    |    |          |    |    the kernel
;                                         watches   |    |    |          |    how to run it
;                                              the watches |  |          programs in all
;                                                   expectations
;                                                        the expectations
%Watch = type { i64, ptr, ptr, ptr }                          ; kind, where, name, value
%Span = type { i64, i64, i64 }                                ; first byte, the one after the last, whether it is written
%Arena = type { ptr, i64 }                                    ; address, bytes

declare i64 @PyTuple_Size(ptr)
declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyDict_GetItemWithError(ptr, ptr)
declare i64 @PyList_Size(ptr)
declare ptr @PyCell_Get(ptr)
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyLong_FromVoidPtr(ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyErr_Occurred()
declare void @PyErr_Clear()
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare ptr @pthread_getspecific(i32)

define ptr @launch(ptr %self, ptr %args, i64 %positional, ptr %keywords) nounwind {
entry:
  %slots = alloca [68 x i64], align 16
  %spans = alloca [68 x %Span], align 16
  %address = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %launcher = call ptr @PyLong_AsVoidPtr(ptr %address)
  %first = load ptr, ptr %launcher
  %changes = getelementptr %Launcher, ptr %launcher, i64 0, i32 2
  %word = load ptr, ptr %changes
  %epoch = load i64, ptr %word
  br label %look
look:
  %record = phi ptr [ %first, %entry ], [ %following, %next ]
  %none = icmp eq ptr %record, null
  br i1 %none, label %slow, label %try
try:
  %t1 = call i1 @is_called_so(ptr %record, i64 %positional, ptr %keywords, i64 %epoch)
  br i1 %t1, label %called, label %next
called:
  %t2 = call i1 @is_unchanged(ptr %record)
  br i1 %t2, label %unchanged, label %next
unchanged:
  %count = call i64 @bind(ptr %record, ptr %args, ptr %slots, ptr %spans)
  %t3 = icmp sge i64 %count, 0
  br i1 %t3, label %bound, label %next
bound:
  %t4 = call i1 @are_apart(ptr %spans, i64 %count)
  br i1 %t4, label %run, label %slow
next:
  %following = load ptr, ptr %record
  br label %look
run:
  %done = call ptr @run(ptr %record, ptr %slots)
  ret ptr %done
slow:
  %path = getelementptr %Launcher, ptr %launcher, i64 0, i32 1
  %function = load ptr, ptr %path
  %answer = call ptr @PyObject_Vectorcall(ptr %function, ptr %args, i64 %positional, ptr %keywords)
  ret ptr %answer
}

; the same number of arguments, the same keywords in the same order (names are interned), and no change announced since
define internal i1 @is_called_so(ptr %record, i64 %positional, ptr %keywords, i64 %epoch) nounwind {
entry:
  %p = getelementptr %Record, ptr %record, i64 0, i32 1
  %wanted = load i64, ptr %p
  %k = getelementptr %Record, ptr %record, i64 0, i32 2
  %named = load i64, ptr %k
  %n = getelementptr %Record, ptr %record, i64 0, i32 3
  %names = load ptr, ptr %n
  %e = getelementptr %Record, ptr %record, i64 0, i32 4
  %then = load i64, ptr %e
  %t1 = icmp eq i64 %wanted, %positional
  %t2 = icmp eq i64 %then, %epoch
  %t3 = and i1 %t1, %t2
  br i1 %t3, label %size, label %no
size:
  %any = icmp ne ptr %keywords, null
  br i1 %any, label %measure, label %sized
measure:
  %length = call i64 @PyTuple_Size(ptr %keywords)
  br label %sized
sized:
  %given = phi i64 [ 0, %size ], [ %length, %measure ]
  %t4 = icmp eq i64 %given, %named
  br i1 %t4, label %loop, label %no
loop:
  %i = phi i64 [ 0, %sized ], [ %j, %match ]
  %t5 = icmp eq i64 %i, %named
  br i1 %t5, label %yes, label %compare
compare:
  %name = call ptr @PyTuple_GetItem(ptr %keywords, i64 %i)
  %at = getelementptr ptr, ptr %names, i64 %i
  %expected = load ptr, ptr %at
  %t6 = icmp eq ptr %name, %expected
  br i1 %t6, label %match, label %no
match:
  %j = add i64 %i, 1
  br label %loop
yes:
  ret i1 true
no:
  ret i1 false
}

; every variable that was looked at is what it was: an entry of a dict (0), a closure's cell (1), a list without elements (2)
define internal i1 @is_unchanged(ptr %record) nounwind {
entry:
  %c = getelementptr %Record, ptr %record, i64 0, i32 5
  %count = load i64, ptr %c
  %w = getelementptr %Record, ptr %record, i64 0, i32 6
  %watches = load ptr, ptr %w
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %same ]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %yes, label %look
look:
  %watch = getelementptr %Watch, ptr %watches, i64 %i
  %kind = load i64, ptr %watch
  %t1 = getelementptr %Watch, ptr %watch, i64 0, i32 1
  %where = load ptr, ptr %t1
  %t2 = getelementptr %Watch, ptr %watch, i64 0, i32 2
  %name = load ptr, ptr %t2
  %t3 = getelementptr %Watch, ptr %watch, i64 0, i32 3
  %value = load ptr, ptr %t3
  switch i64 %kind, label %no [
    i64 0, label %dict
    i64 1, label %cell
    i64 2, label %list
  ]
dict:
  %found = call ptr @PyDict_GetItemWithError(ptr %where, ptr %name)
  %missing = icmp eq ptr %found, null
  br i1 %missing, label %absent, label %compare
absent:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  br i1 %fine, label %compare, label %failed
failed:
  call void @PyErr_Clear()
  br label %no
compare:
  %now = phi ptr [ %found, %dict ], [ null, %absent ]
  %t4 = icmp eq ptr %now, %value
  br i1 %t4, label %same, label %no
cell:
  %held = call ptr @PyCell_Get(ptr %where)
  %t5 = icmp eq ptr %held, %value
  %empty = icmp eq ptr %held, null
  br i1 %empty, label %compared, label %release
release:
  call void @Py_DecRef(ptr %held)
  br label %compared
compared:
  br i1 %t5, label %same, label %no
list:
  %size = call i64 @PyList_Size(ptr %where)
  %t6 = icmp eq i64 %size, 0
  br i1 %t6, label %same, label %no
same:
  %j = add i64 %i, 1
  br label %loop
yes:
  ret i1 true
no:
  ret i1 false
}

; how: 0 here and now, 1 here but other Python threads may run meanwhile, 2 on threads: of the pool, or by the function in Python
define internal ptr @run(ptr %record, ptr %slots) nounwind {
entry:
  %t1 = getelementptr %Record, ptr %record, i64 0, i32 10
  %total = load i64, ptr %t1
  %t2 = getelementptr %Record, ptr %record, i64 0, i32 11
  %how = load i64, ptr %t2
  %t3 = getelementptr %Record, ptr %record, i64 0, i32 12
  %kernel = load ptr, ptr %t3
  %t4 = getelementptr %Record, ptr %record, i64 0, i32 13
  %scratch = load i64, ptr %t4
  %t5 = getelementptr %Record, ptr %record, i64 0, i32 14
  %key = load i64, ptr %t5
  %t6 = getelementptr %Record, ptr %record, i64 0, i32 15
  %spread = load ptr, ptr %t6
  %t7 = getelementptr %Record, ptr %record, i64 0, i32 16
  %result = load ptr, ptr %t7
  %t14 = getelementptr %Record, ptr %record, i64 0, i32 17
  %region = load ptr, ptr %t14
  %threaded = icmp eq i64 %how, 2
  %t15 = icmp eq ptr %region, null
  %t16 = and i1 %threaded, %t15
  br i1 %t16, label %python, label %here
here:
  %free = icmp eq i64 %scratch, 0
  br i1 %free, label %ready, label %find
find:
  %t8 = trunc i64 %key to i32
  %own = call ptr @pthread_getspecific(i32 %t8)
  %t9 = icmp eq ptr %own, null
  br i1 %t9, label %python, label %enough
enough:
  %memory = load ptr, ptr %own
  %t10 = getelementptr %Arena, ptr %own, i64 0, i32 1
  %size = load i64, ptr %t10
  %t11 = icmp ult i64 %size, %scratch
  br i1 %t11, label %python, label %ready
ready:
  %arena = phi ptr [ null, %here ], [ %memory, %enough ]
  %alone = icmp eq i64 %how, 0
  br i1 %alone, label %hold, label %release
hold:
  call void %kernel(ptr %slots, i64 0, i64 %total, ptr %arena)
  br label %return
release:
  br i1 %threaded, label %share, label %alone.run
share:
  %t17 = getelementptr %Record, ptr %record, i64 0, i32 18
  %pool = load ptr, ptr %t17
  %t18 = getelementptr %Record, ptr %record, i64 0, i32 19
  %threads = load i64, ptr %t18
  %pace = getelementptr %Record, ptr %record, i64 0, i32 20
  %state.shared = call ptr @PyEval_SaveThread()
  %ran = call i32 %region(ptr %pool, ptr %kernel, ptr %slots, i64 %total, i64 %threads, i64 %scratch, ptr %arena, ptr %pace, ptr null)
  call void @PyEval_RestoreThread(ptr %state.shared)
  switch i32 %ran, label %error [                               ; interrupted: the exception is set
    i32 0, label %python
    i32 1, label %return
  ]
alone.run:
  %state = call ptr @PyEval_SaveThread()
  call void %kernel(ptr %slots, i64 0, i64 %total, ptr %arena)
  call void @PyEval_RestoreThread(ptr %state)
  br label %return
python:
  %argument = alloca ptr
  %address = call ptr @PyLong_FromVoidPtr(ptr %slots)
  %t12 = icmp eq ptr %address, null
  br i1 %t12, label %error, label %call
call:
  store ptr %address, ptr %argument
  %answer = call ptr @PyObject_Vectorcall(ptr %spread, ptr %argument, i64 1, ptr null)
  call void @Py_DecRef(ptr %address)
  %t13 = icmp eq ptr %answer, null
  br i1 %t13, label %error, label %answered
answered:
  call void @Py_DecRef(ptr %answer)
  br label %return
return:
  call void @Py_IncRef(ptr %result)
  ret ptr %result
error:
  ret ptr null
}
