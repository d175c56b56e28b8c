"""placeholder"""
import json
def write_report(outcome, folder):
    bad=0
    for i in outcome.invariants:
        print(f"{i.held}/{i.total}", i.name, *i.exceptions[:6], sep="\n    " if i.exceptions else " ")
        bad+=len(i.exceptions)
    from collections import Counter
    print(Counter(h.kind for h in outcome.happened), outcome.plan.left_out, outcome.not_begun)
    for r in outcome.recovered: print(r.kind, r.ended and round(r.ended-r.began,2))
    print(outcome.unanswered[:5], outcome.settled)
    return bad
