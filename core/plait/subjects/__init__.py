"""Who is evaluated: a trained model, its randomly initialised twin, or raw features; all answer alike."""

from plait.subjects.model_subject import ModelSubject
from plait.subjects.raw_subject import RawSubject
from plait.subjects.subject import RAW, Array, Subject

__all__ = ["RAW", "Array", "ModelSubject", "RawSubject", "Subject"]
