; What a call passes, as the record expects it: read from the objects themselves, and packed into slots. Belongs to launch.ll.
;
; Layouts that are read: an object's type, the fields of PyArrayObject that NumPy documents, DLPack's DLTensor.

%Expected = type { i64, i64, i64, ptr, ptr, i64, i64, i64, i64, i64, i64 }
;                  kind |    |    type |    low  high |    |    |    whether the kernel writes there
;                       source    |    object         |    |    bytes of an element, or of a number
;                            slot |                   |    whether those bits are 0
;                                 (type)              bits that tell versions apart
%Array = type { i64, ptr, ptr, i32, ptr, ptr, ptr, ptr, i32 } ; head, type, data, axes, shape, strides, base, dtype, flags
%Tensor = type { ptr, i32, i32, i32, i32, ptr, ptr, i64 }     ; data, device, its number, axes, dtype, shape, strides, offset

declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare double @PyFloat_AsDouble(ptr)
declare i32 @PyUnicode_Compare(ptr, ptr)

; the arguments into slots, and what memory they span; how many spans, or -1 if one is not as expected
define internal i64 @bind(ptr %record, ptr %args, ptr %slots, ptr %spans) nounwind {
entry:
  %g = getelementptr %Record, ptr %record, i64 0, i32 9
  %grid = load [3 x i64], ptr %g
  store [3 x i64] %grid, ptr %slots
  %c = getelementptr %Record, ptr %record, i64 0, i32 7
  %count = load i64, ptr %c
  %e = getelementptr %Record, ptr %record, i64 0, i32 8
  %all = load ptr, ptr %e
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %next ]
  %used = phi i64 [ 0, %entry ], [ %use, %next ]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %yes, label %look
look:
  %expected = getelementptr %Expected, ptr %all, i64 %i
  %kind = load i64, ptr %expected
  %t1 = getelementptr %Expected, ptr %expected, i64 0, i32 1
  %source = load i64, ptr %t1
  %t2 = getelementptr %Expected, ptr %expected, i64 0, i32 2
  %index = load i64, ptr %t2
  %t3 = getelementptr ptr, ptr %args, i64 %source
  %object = load ptr, ptr %t3
  %slot = getelementptr i64, ptr %slots, i64 %index
  %span = getelementptr %Span, ptr %spans, i64 %used
  %t4 = getelementptr %Expected, ptr %expected, i64 0, i32 4
  %known = load ptr, ptr %t4
  %identical = icmp eq ptr %object, %known
  %t5 = icmp eq i64 %kind, 0
  br i1 %t5, label %same, label %typed
same:                                                         ; 0: this very object
  br i1 %identical, label %scalar, label %no
typed:
  %t6 = getelementptr %Expected, ptr %expected, i64 0, i32 3
  %wanted = load ptr, ptr %t6
  %t7 = getelementptr i8, ptr %object, i64 8
  %type = load ptr, ptr %t7
  %t8 = icmp eq ptr %type, %wanted
  br i1 %t8, label %choose, label %no
choose:
  switch i64 %kind, label %no [
    i64 1, label %text
    i64 2, label %integer
    i64 3, label %real
    i64 4, label %single
    i64 5, label %double
    i64 6, label %bool
    i64 7, label %array
    i64 8, label %tensor
  ]
text:                                                         ; 1: this string
  br i1 %identical, label %scalar, label %spell
spell:
  %order = call i32 @PyUnicode_Compare(ptr %object, ptr %known)
  %t9 = icmp eq i32 %order, 0
  br i1 %t9, label %scalar, label %no
integer:                                                      ; 2: an int of a range
  %t10 = call i1 @integer(ptr %expected, ptr %object, ptr %slot)
  br i1 %t10, label %scalar, label %no
real:                                                         ; 3: this float
  %exact = call double @PyFloat_AsDouble(ptr %object)
  %bits = bitcast double %exact to i64
  %t11 = getelementptr %Expected, ptr %expected, i64 0, i32 5
  %same.bits = load i64, ptr %t11
  %t12 = icmp eq i64 %bits, %same.bits
  br i1 %t12, label %scalar, label %no
single:                                                       ; 4: a float for a kernel's f32
  %wide = call double @PyFloat_AsDouble(ptr %object)
  %narrow = fptrunc double %wide to float
  %narrow.bits = bitcast float %narrow to i32
  %padded = zext i32 %narrow.bits to i64
  store i64 %padded, ptr %slot
  br label %scalar
double:                                                       ; 5: a float for its f64
  %whole = call double @PyFloat_AsDouble(ptr %object)
  store double %whole, ptr %slot
  br label %scalar
bool:                                                         ; 6: True, which is the known one, or False
  %truth = zext i1 %identical to i64
  store i64 %truth, ptr %slot
  br label %scalar
array:                                                        ; 7: an array of NumPy
  %t13 = call i1 @array(ptr %expected, ptr %object, ptr %slot, ptr %span)
  br i1 %t13, label %pointer, label %no
tensor:                                                       ; 8: a tensor that DLPack's exchange interface opens
  %t14 = call i1 @tensor(ptr %expected, ptr %object, ptr %slot, ptr %span)
  br i1 %t14, label %pointer, label %no
pointer:
  %more = add i64 %used, 1
  br label %next
scalar:
  br label %next
next:
  %use = phi i64 [ %more, %pointer ], [ %used, %scalar ]
  %j = add i64 %i, 1
  br label %loop
yes:
  ret i64 %used
no:
  ret i64 -1
}

define internal i1 @integer(ptr %expected, ptr %object, ptr %slot) nounwind {
entry:
  %overflow = alloca i32
  %value = call i64 @PyLong_AsLongLongAndOverflow(ptr %object, ptr %overflow)
  %over = load i32, ptr %overflow
  %fits = icmp eq i32 %over, 0
  %t1 = getelementptr %Expected, ptr %expected, i64 0, i32 5
  %low = load i64, ptr %t1
  %t2 = getelementptr %Expected, ptr %expected, i64 0, i32 6
  %high = load i64, ptr %t2
  %t3 = icmp sge i64 %value, %low
  %t4 = icmp sle i64 %value, %high
  %t5 = and i1 %t3, %t4
  %t6 = and i1 %t5, %fits
  %t7 = call i1 @is_of_this_version(ptr %expected, i64 %value)
  %t8 = and i1 %t6, %t7
  ; the object is 1 in the versions that leave it out, else null
  %t9 = getelementptr %Expected, ptr %expected, i64 0, i32 4
  %left.out = load ptr, ptr %t9
  %t10 = icmp ne ptr %left.out, null
  %is.one = icmp eq i64 %value, 1
  %t11 = and i1 %t10, %is.one
  %t12 = xor i1 %t11, true
  %t13 = and i1 %t8, %t12
  %t14 = getelementptr %Expected, ptr %expected, i64 0, i32 9
  %bytes = load i64, ptr %t14
  %none = icmp eq i64 %bytes, 0
  br i1 %none, label %known, label %keep
keep:
  %unused.bytes = sub i64 8, %bytes
  %unused = mul i64 %unused.bytes, 8
  %mask = lshr i64 -1, %unused
  %kept = and i64 %value, %mask
  store i64 %kept, ptr %slot
  br label %known
known:
  ret i1 %t13
}

define internal i1 @is_of_this_version(ptr %expected, i64 %value) nounwind {
  %t1 = getelementptr %Expected, ptr %expected, i64 0, i32 7
  %bits = load i64, ptr %t1
  %t2 = getelementptr %Expected, ptr %expected, i64 0, i32 8
  %zero = load i64, ptr %t2
  %t3 = and i64 %value, %bits
  %t4 = icmp eq i64 %t3, 0
  %t5 = zext i1 %t4 to i64
  %t6 = icmp eq i64 %t5, %zero
  ret i1 %t6
}

define internal i1 @array(ptr %expected, ptr %object, ptr %slot, ptr %span) nounwind {
entry:
  %t1 = getelementptr %Array, ptr %object, i64 0, i32 2
  %data = load i64, ptr %t1
  %t2 = getelementptr %Array, ptr %object, i64 0, i32 3
  %axes = load i32, ptr %t2
  %t3 = getelementptr %Array, ptr %object, i64 0, i32 4
  %shape = load ptr, ptr %t3
  %t4 = getelementptr %Array, ptr %object, i64 0, i32 5
  %strides = load ptr, ptr %t4
  %t5 = getelementptr %Array, ptr %object, i64 0, i32 7
  %dtype = load ptr, ptr %t5
  %t6 = getelementptr %Array, ptr %object, i64 0, i32 8
  %flags = load i32, ptr %t6
  %t7 = getelementptr %Expected, ptr %expected, i64 0, i32 4
  %wanted = load ptr, ptr %t7
  %t8 = icmp eq ptr %dtype, %wanted
  %t9 = getelementptr %Expected, ptr %expected, i64 0, i32 10
  %written = load i64, ptr %t9
  %t10 = icmp eq i64 %written, 0
  %t11 = and i32 %flags, 1024                                  ; NPY_ARRAY_WRITEABLE
  %t12 = icmp ne i32 %t11, 0
  %t13 = or i1 %t10, %t12
  %t14 = and i1 %t8, %t13
  %t15 = call i1 @is_of_this_version(ptr %expected, i64 %data)
  %t16 = and i1 %t14, %t15
  store i64 %data, ptr %slot
  call void @measure(ptr %expected, i64 %data, i32 %axes, ptr %shape, ptr %strides, i64 1, ptr %span)
  ret i1 %t16
}

define internal i1 @tensor(ptr %expected, ptr %object, ptr %slot, ptr %span) nounwind {
entry:
  %view = alloca %Tensor
  %t1 = getelementptr %Expected, ptr %expected, i64 0, i32 4
  %open = load ptr, ptr %t1
  %failed = call i32 %open(ptr %object, ptr %view)
  %t2 = icmp eq i32 %failed, 0
  br i1 %t2, label %opened, label %clear
clear:
  call void @PyErr_Clear()
  ret i1 false
opened:
  %base = load i64, ptr %view
  %t3 = getelementptr %Tensor, ptr %view, i64 0, i32 1
  %device = load i32, ptr %t3
  %t4 = getelementptr %Tensor, ptr %view, i64 0, i32 3
  %axes = load i32, ptr %t4
  %t5 = getelementptr %Tensor, ptr %view, i64 0, i32 4
  %dtype = load i32, ptr %t5
  %t6 = getelementptr %Tensor, ptr %view, i64 0, i32 5
  %shape = load ptr, ptr %t6
  %t7 = getelementptr %Tensor, ptr %view, i64 0, i32 6
  %strides = load ptr, ptr %t7
  %t8 = getelementptr %Tensor, ptr %view, i64 0, i32 7
  %offset = load i64, ptr %t8
  %data = add i64 %base, %offset
  %t9 = icmp eq i32 %device, 1                                 ; kDLCPU
  %t10 = getelementptr %Expected, ptr %expected, i64 0, i32 5
  %wanted = load i64, ptr %t10
  %t11 = zext i32 %dtype to i64
  %t12 = icmp eq i64 %t11, %wanted
  %t13 = and i1 %t9, %t12
  %t14 = call i1 @is_of_this_version(ptr %expected, i64 %data)
  %t15 = and i1 %t13, %t14
  %t16 = icmp ne ptr %strides, null
  %t17 = and i1 %t15, %t16
  br i1 %t17, label %fits, label %no
fits:
  store i64 %data, ptr %slot
  %t18 = getelementptr %Expected, ptr %expected, i64 0, i32 9
  %bytes = load i64, ptr %t18
  call void @measure(ptr %expected, i64 %data, i32 %axes, ptr %shape, ptr %strides, i64 %bytes, ptr %span)
  %t19 = load i64, ptr %span
  %t20 = getelementptr %Span, ptr %span, i64 0, i32 1
  %t21 = load i64, ptr %t20
  %t22 = icmp ne i64 %t19, %t21                                  ; where nothing is, libraries differ in the address they give
  ret i1 %t22
no:
  ret i1 false
}

; the bytes that the elements of an array reach, below its first one and from there on
define internal void @measure(ptr %expected, i64 %data, i32 %axes, ptr %shape, ptr %strides, i64 %unit, ptr %span) nounwind {
entry:
  %t1 = getelementptr %Expected, ptr %expected, i64 0, i32 9
  %bytes = load i64, ptr %t1
  %t2 = getelementptr %Expected, ptr %expected, i64 0, i32 10
  %written = load i64, ptr %t2
  %count = sext i32 %axes to i64
  %after = add i64 %data, %bytes
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %next ]
  %start = phi i64 [ %data, %entry ], [ %lower, %next ]
  %stop = phi i64 [ %after, %entry ], [ %upper, %next ]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %out, label %axis
axis:
  %t3 = getelementptr i64, ptr %shape, i64 %i
  %n = load i64, ptr %t3
  %t4 = icmp eq i64 %n, 0
  br i1 %t4, label %out, label %next
next:
  %t5 = getelementptr i64, ptr %strides, i64 %i
  %t6 = load i64, ptr %t5
  %stride = mul i64 %t6, %unit
  %t7 = sub i64 %n, 1
  %reach = mul i64 %t7, %stride
  %t8 = icmp slt i64 %reach, 0
  %down = select i1 %t8, i64 %reach, i64 0
  %up = select i1 %t8, i64 0, i64 %reach
  %lower = add i64 %start, %down
  %upper = add i64 %stop, %up
  %j = add i64 %i, 1
  br label %loop
out:
  %begin = phi i64 [ %start, %loop ], [ %data, %axis ]
  %end = phi i64 [ %stop, %loop ], [ %data, %axis ]
  store i64 %begin, ptr %span
  %t9 = getelementptr %Span, ptr %span, i64 0, i32 1
  store i64 %end, ptr %t9
  %t10 = getelementptr %Span, ptr %span, i64 0, i32 2
  store i64 %written, ptr %t10
  ret void
}

; whether no written span shares bytes with another one
define internal i1 @are_apart(ptr %spans, i64 %count) nounwind {
entry:
  br label %outer
outer:
  %i = phi i64 [ 0, %entry ], [ %i.next, %skip ]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %yes, label %one
one:
  %a = getelementptr %Span, ptr %spans, i64 %i
  %start = load i64, ptr %a
  %t1 = getelementptr %Span, ptr %a, i64 0, i32 1
  %stop = load i64, ptr %t1
  %t2 = getelementptr %Span, ptr %a, i64 0, i32 2
  %written = load i64, ptr %t2
  %t3 = icmp eq i64 %written, 0
  br i1 %t3, label %skip, label %inner
inner:
  %j = phi i64 [ 0, %one ], [ %j.next, %apart ]
  %last = icmp eq i64 %j, %count
  br i1 %last, label %skip, label %other
other:
  %b = getelementptr %Span, ptr %spans, i64 %j
  %first = load i64, ptr %b
  %t4 = getelementptr %Span, ptr %b, i64 0, i32 1
  %end = load i64, ptr %t4
  %t5 = icmp ult i64 %start, %end
  %t6 = icmp ult i64 %first, %stop
  %t7 = and i1 %t5, %t6
  %t8 = icmp ne i64 %i, %j
  %t9 = and i1 %t7, %t8
  br i1 %t9, label %no, label %apart
apart:
  %j.next = add i64 %j, 1
  br label %inner
skip:
  %i.next = add i64 %i, 1
  br label %outer
yes:
  ret i1 true
no:
  ret i1 false
}
