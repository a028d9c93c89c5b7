package torch

import "errors"

// Scope owns the tensors that were made with its methods and frees them when it ends. It may
// be used by one goroutine, the one of its [Library.Run], until it ends.
//
// Errors are sticky: the first failure in a tree of scopes is kept, see [Scope.Err]; after
// it operators do nothing and return nil, as do the ones that read values.
type Scope struct {
	run    *run
	parent *Scope
	depth  int
	grad   bool
	ended  bool
	refs   []*ref
}

// ref is what a scope keeps of a tensor. It is not the [Tensor], so that the garbage
// collector can find those that nobody can reach any more.
type ref struct {
	handle int64 // 0 once freed
	scope  *Scope
	index  int // in scope.refs
}

// In calls f with a scope inside s, and frees what f makes there, save what it returns with
// [Scope.Return].
func (s *Scope) In(f func(in *Scope)) { s.within(s.grad, f) }

// NoGrad is In without the recording of operators for [Scope.Backward], also in the scopes
// inside.
func (s *Scope) NoGrad(f func(in *Scope)) { s.within(false, f) }

func (s *Scope) within(grad bool, f func(in *Scope)) {
	in := &Scope{run: s.run, parent: s, depth: s.depth + 1, grad: grad, ended: s.ended}
	defer in.close()
	f(in)
}

// Return hands a tensor of s up to the scope around s, and returns it. Tensors of scopes
// further up, or nil, stay as they are.
func (s *Scope) Return(t *Tensor) *Tensor {
	if t != nil && t.ref.handle != 0 && s.parent != nil && t.ref.scope.run == s.run && t.ref.scope.depth > s.parent.depth {
		t.ref.scope.drop(t.ref)
		s.parent.own(t.ref)
	}
	return t
}

// Free frees tensors before their scopes end. Any later use of them is an [OpError]; nil and
// freed tensors are left alone.
func (s *Scope) Free(ts ...*Tensor) {
	if s.ended {
		return
	}
	for _, t := range ts {
		if t != nil && t.ref.scope.run == s.run {
			free(t.ref)
		}
	}
}

// Err returns the first failure in the tree of scopes.
func (s *Scope) Err() error { return s.run.err }

// Fail adds a failure of the caller's own; nil is none.
func (s *Scope) Fail(err error) {
	if s.run.err == nil {
		s.run.err = err
	}
}

// Seed begins libtorch's random numbers anew, for the whole process.
func (s *Scope) Seed(seed int64) {
	if s.ready("Seed") {
		s.fail("Seed", nil, s.run.failure.seed(seed))
	}
}

// ready tells whether to go on, and frees the tensors that were lost.
func (s *Scope) ready(op string) bool {
	if s.ended {
		s.fail(op, nil, errors.New("the scope has ended"))
	}
	if s.run.err != nil {
		return false
	}
	for _, r := range s.run.lost.take() {
		free(r)
	}
	return true
}

func (s *Scope) own(r *ref) {
	r.scope, r.index = s, len(s.refs)
	s.refs = append(s.refs, r)
}

func (s *Scope) drop(r *ref) {
	last := len(s.refs) - 1
	s.refs[r.index] = s.refs[last]
	s.refs[r.index].index = r.index
	s.refs[last] = nil
	s.refs = s.refs[:last]
}

func free(r *ref) {
	if r.handle == 0 {
		return
	}
	r.scope.drop(r)
	handle := [1]int64{r.handle}
	r.handle = 0
	shimFree(handle[:])
}

func (s *Scope) close() {
	s.ended = true
	handles := s.run.args[:0]
	for _, r := range s.refs {
		handles = append(handles, r.handle)
		r.handle = 0
	}
	shimFree(handles)
	s.run.args, s.refs = handles, nil
}
